"""The dead-letter workbench: one letter as it stands, what would become of it now, and putting it back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.audit.desk import Clearance
from deploy.console.index.questions import ListedLetter
from deploy.console.web.service import Service
from deploy.mending import SHOPS, MendedEvent, check_replayable, mended, readable, unchanged
from deploy.offline_processing import Judgement, OfflinePolicy, OfflineProcessor
from deploy.order_masking import masked_rejection
from deploy.record_reading import RecordReader, Span, say_nothing
from deploy.replaying import Replay, perform
from deploy.reprocessing import replay as replay_many
from schemas.audit_chain import Actor
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError
from schemas.masking import masked_document
from schemas.models import AuditEvent, Rejection
from schemas.registry import SchemaRegistry
from schemas.topics import CAPTURED_TOPICS, CATALOGUE, REJECTED
from streams.processing.processor import CapturedRecord


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter with its original as JSON; `document` is None where its bytes are no event."""

    rejection: Rejection
    document: str | None
    can_go_back: bool
    is_mapped: bool = False
    """Whether it is a shop's webhook, which is mapped anew and not edited."""

    def masked(self) -> Letter:
        """For those without the right to see of whom it tells: the reasons, and the event only where it is understood.

        What cannot be read is not shown: nobody can say what is in it.
        """
        document = None
        if self.document is not None:
            model = CATALOGUE[self.rejection.original.topic].model
            document = _text(masked_document(model, json.loads(self.document)))
        return Letter(masked_rejection(self.rejection), document, self.can_go_back, self.is_mapped)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a dry run found: what was changed, and what would become of the event."""

    rejection: Rejection
    changes: list[str]
    judgement: Judgement


class Workbench:
    """Everything that is done with dead letters; nothing is kept between two calls."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def open(self, listed: ListedLetter) -> Letter:
        """The whole letter, read from its topic.

        Raises:
            ConfigurationError: it is not there any more.
            Transient: the cluster or the registry does not answer.
        """
        [rejection] = self.read([listed])
        original = rejection.original
        if rejection.stage == SHOPS:
            return Letter(rejection, None, self._service.settings.shops is not None, is_mapped=True)
        can_go_back = original.topic in CAPTURED_TOPICS and original.partition >= 0
        document = None
        if can_go_back:
            with closing(SchemaRegistry(self._service.cluster.registry)) as registry:
                document = readable(rejection, _codec(original.topic, registry))
        return Letter(rejection, None if document is None else _text(document), can_go_back)

    def read(self, listed: Iterable[ListedLetter]) -> list[Rejection]:
        """Whole letters, in the same order. Raises as `open`."""
        found = []
        cluster = self._service.cluster
        with closing(SchemaRegistry(cluster.registry)) as registry, RecordReader(cluster.kafka) as reader:
            codec = TopicCodec(REJECTED, Rejection, registry)
            for one in listed:
                span = Span(REJECTED, one.partition, one.offset, one.offset + 1)
                values = [record.value for record in reader.read([span]) if record.value is not None]
                if not values:
                    raise ConfigurationError(f"dead letter {one.rejection_id} is not on its topic any more")
                found.append(codec.decode(values[0]))
        return found

    def event(self, rejection: Rejection, document: str | None) -> MendedEvent:
        """What would go back: the original as it came, or what the document makes of it.

        Raises:
            ConfigurationError: it does not fit, or may not go back; the message is for the person who edits.
        """
        shops = self._service.settings.shops
        if rejection.stage == SHOPS and shops is not None:
            return self._mapped(rejection, shops, document)
        check_replayable(rejection)
        if document is None:
            return unchanged(rejection)
        try:
            # Money must not pass through a float.
            content = json.loads(document, parse_float=str)
        except (ValueError, RecursionError) as exc:
            raise ConfigurationError(f"the event is not JSON: {exc}") from exc
        with closing(SchemaRegistry(self._service.cluster.registry)) as registry:
            codec = _codec(rejection.original.topic, registry)
            before = readable(rejection, codec)
            if before is not None and content == json.loads(_text(before)):
                return unchanged(rejection)
            return mended(rejection, content, codec)

    def _mapped(self, rejection: Rejection, shops: Path, document: str | None) -> MendedEvent:
        # Only here: it needs what the API reads webhooks with.
        from deploy.shop_mending import mapped_again

        if document is not None:
            raise ConfigurationError("a webhook of a shop is not edited: mend the shop's mapping, then put it back")
        with closing(SchemaRegistry(self._service.cluster.registry)) as registry:
            return mapped_again(rejection, shops, registry)

    def check(self, letters: Iterable[tuple[Rejection, MendedEvent]]) -> list[Checked]:
        """What would become of events now, in the order of their coming, by today's rules and master data."""
        asked = sorted(letters, key=lambda pair: _came(pair[0]))
        order_ids = {event.key.decode(errors="replace") for _, event in asked}
        settings = self._service.settings
        policy = OfflinePolicy(self._service.rules, settings.functional_currency_code, settings.parked_for_seconds)
        processor = OfflineProcessor(self._service.cluster, policy, order_ids)
        return [
            Checked(rejection, event.changes, processor.judge(_record(rejection, event))) for rejection, event in asked
        ]

    def put_back(
        self, rejection: Rejection, event: MendedEvent, clearance: Clearance, reason: str
    ) -> AuditEvent | None:
        """Replay one event; None where the same was done before. Raises as `perform`."""
        actor = clearance.person.actor
        return perform(Replay(rejection, event, actor, reason), self._service.cluster, clearance)

    def put_back_all(
        self, letters: Iterable[tuple[Rejection, MendedEvent]], actor: Actor, reason: str
    ) -> list[AuditEvent]:
        """Replay several as they came, in the order of their coming; gives what was not done before."""
        return replay_many(letters, self._service.cluster, actor, reason, say_nothing)


def _codec(topic: str, registry: SchemaRegistry) -> TopicCodec[Any]:
    return TopicCodec(topic, CATALOGUE[topic].model, registry)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _came(letter: Rejection) -> tuple[object, ...]:
    original = letter.original
    return original.timestamp_at, original.topic, original.partition, original.offset


def _record(letter: Rejection, event: MendedEvent) -> CapturedRecord:
    original = letter.original
    return CapturedRecord(
        event.topic or original.topic, original.partition, original.offset, 0, event.key, event.value, ()
    )
