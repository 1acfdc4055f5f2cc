"""What must be there before records make sense again: schemas, topic configurations, groups' offsets, access rights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import httpx
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ConfigSource,
    ResourcePatternType,
    ResourceType,
)
from pydantic import AwareDatetime

from consumers.backup.archive.settings import ArchiveSettings
from consumers.group_offsets import GroupOffsets
from consumers.kafka import kafka_error
from schemas.errors import Fatal, Transient
from schemas.settings import RegistrySettings, SettingsPart

_ANSWER_SECONDS = 20.0


class TopicConfiguration(SettingsPart):
    """One topic as it was laid out."""

    name: str
    partitions: int
    config: dict[str, str]
    """What was set on the topic itself."""


class SubjectVersion(SettingsPart):
    """One registered schema."""

    subject: str
    """Without the installation's prefix."""
    version: int
    schema_id: int
    schema_text: str


class GroupOffset(SettingsPart):
    """How far one consumer group had committed."""

    group: str
    topic: str
    partition: int
    offset: int


class TopicSurroundings(SettingsPart):
    """All of it at one time."""

    taken_at: AwareDatetime
    topics: tuple[TopicConfiguration, ...]
    subjects: tuple[SubjectVersion, ...]
    offsets: tuple[GroupOffset, ...]
    access_rights: tuple[str, ...]

    def content(self) -> bytes:
        """The file, before it is sealed."""
        return self.model_dump_json().encode()

    def same_as(self, other: TopicSurroundings | None) -> bool:
        """Whether nothing but the time differs."""
        return other is not None and self.model_copy(update={"taken_at": other.taken_at}) == other


class SurroundingsReader:
    """Asks the cluster and the registry."""

    def __init__(self, settings: ArchiveSettings, topics: Iterable[str]) -> None:
        self._prefix = settings.topic_prefix
        self._topics = tuple(topics)
        self._kafka = settings.kafka
        self._registry = settings.registry

    def read(self, now: datetime) -> TopicSurroundings:
        """As it is now.

        Raises:
            Transient: the cluster or the registry is away.
        """
        # A fresh client: an old one asks brokers that were restarted with what it knew before.
        admin = AdminClient(self._kafka.client_config())
        try:
            return TopicSurroundings(
                taken_at=now,
                topics=tuple(self._configurations(admin)),
                subjects=tuple(self._subjects()),
                offsets=tuple(self._offsets()),
                access_rights=tuple(_access_rights(admin)),
            )
        except KafkaException as exc:
            raise kafka_error(exc, "reading topic configurations and groups") from exc

    def _configurations(self, admin: AdminClient) -> Iterator[TopicConfiguration]:
        known = admin.list_topics(timeout=_ANSWER_SECONDS).topics
        resources = {ConfigResource(ResourceType.TOPIC, self._prefix + topic): topic for topic in self._topics}
        for resource, future in admin.describe_configs(list(resources), request_timeout=_ANSWER_SECONDS).items():
            entries: Iterable[Any] = future.result().values()
            own = {one.name: one.value for one in entries if one.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value}
            yield TopicConfiguration(
                name=resources[resource], partitions=len(known[resource.name].partitions), config=own
            )

    def _offsets(self) -> Iterator[GroupOffset]:
        held = {self._prefix + topic: topic for topic in self._topics}
        asked = GroupOffsets(self._kafka)
        for group, committed in asked.committed(asked.groups()).items():
            for (topic, partition), offset in sorted(committed.items()):
                if topic in held:
                    yield GroupOffset(group=group, topic=held[topic], partition=partition, offset=offset)

    def _subjects(self) -> Iterator[SubjectVersion]:
        wanted = {f"{self._prefix}{topic}-{part}" for topic in self._topics for part in ("key", "value")}
        with RegistryReading(self._registry) as registry:
            for subject in sorted(wanted & set(registry.ask("/subjects"))):
                for version in registry.ask(f"/subjects/{subject}/versions"):
                    found = registry.ask(f"/subjects/{subject}/versions/{version}")
                    yield SubjectVersion(
                        subject=subject.removeprefix(self._prefix),
                        version=version,
                        schema_id=found["id"],
                        schema_text=found["schema"],
                    )


class RegistryReading:
    """Questions to a registry for the length of a block."""

    def __init__(self, settings: RegistrySettings) -> None:
        self._url = settings.url.rstrip("/")
        self._client = httpx.Client(base_url=self._url, timeout=settings.timeout_seconds)

    def __enter__(self) -> RegistryReading:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, path: str) -> Any:
        """The answer to GET.

        Raises:
            Transient: it does not answer.
            Fatal: it answers with an error.
        """
        try:
            answer = self._client.get(path)
        except httpx.TransportError as exc:
            raise Transient(f"schema registry at {self._url} does not answer ({type(exc).__name__})") from exc
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Transient(f"schema registry at {self._url} answered {answer.status_code} to {path}")
        if answer.is_error:
            raise Fatal(f"schema registry at {self._url} answered {answer.status_code} to {path}: {answer.text[:300]}")
        return json.loads(answer.content)


def _access_rights(admin: AdminClient) -> Iterator[str]:
    # The stubs know only of exact names; the client takes None for any.
    everything = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]
        ResourcePatternType.ANY,
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    try:
        bindings = admin.describe_acls(everything, request_timeout=_ANSWER_SECONDS).result()
    except KafkaException as exc:
        if exc.args[0].code() == KafkaError.SECURITY_DISABLED:
            return
        raise
    yield from sorted(str(binding) for binding in bindings)
