"""What stands on the topics of one system now: what a full delivery is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from deploy.commands.options import Cluster
from deploy.record_reading import Progress, RecordReader, say_nothing
from schemas.codec import TopicCodec
from schemas.errors import InvalidMessage
from schemas.models import OrderState
from schemas.registry import SchemaRegistry
from schemas.topics import CAPTURED_TOPICS, CATALOGUE, ORDER_STATE
from streams.rules.facts import Section
from streams.rules.merging import DELETED, merged_position

_FACTS = {Section.ORDER: "order", Section.FULFILMENT: "fulfilment", Section.SETTLEMENT: "settlement"}


def standing_keys(
    cluster: Cluster, system: str, topics: Iterable[str], progress: Progress = say_nothing
) -> dict[str, set[str]]:
    """The keys that the system has stated and not withdrawn, by topic.

    Captured topics keep a month; what is older is known from the synchronized state.

    Raises:
        ConfigurationError: a topic is missing.
        Transient: the cluster or the registry does not answer.
    """
    with closing(SchemaRegistry(cluster.registry)) as registry, RecordReader(cluster.kafka, progress) as reader:
        wanted = set(topics)
        keys: dict[str, set[str]] = {topic: set() for topic in wanted}
        sections = [section for section in _FACTS if section.value in wanted]
        if sections:
            for state in _states(reader, registry):
                for section in sections:
                    if _stands(state, section, system):
                        keys[section.value].add(state.order_id)
                    else:
                        keys[section.value].discard(state.order_id)
        for topic in wanted:
            for key, said in _said(reader, registry, topic):
                if said is None or said.source.system != system or getattr(said, "operation", "") == DELETED:
                    keys[topic].discard(key)
                else:
                    keys[topic].add(key)
    return keys


def _states(reader: RecordReader, registry: SchemaRegistry) -> Iterator[OrderState]:
    codec = TopicCodec(ORDER_STATE, OrderState, registry)
    for record in reader.read(reader.spans(ORDER_STATE)):
        if record.value is not None:
            yield codec.decode(record.value)


def _stands(state: OrderState, section: Section, system: str) -> bool:
    position = merged_position(section, state)
    if position is None or position.system != system:
        return False
    if section is Section.ORDER and state.order_status == DELETED:
        return False
    return getattr(state, _FACTS[section]) is not None


def _said(reader: RecordReader, registry: SchemaRegistry, topic: str) -> Iterator[tuple[str, Any]]:
    codec: TopicCodec[Any] = TopicCodec(topic, CATALOGUE[topic].model, registry)
    for record in reader.read(reader.spans(topic)):
        try:
            said = None if record.value is None else codec.decode(record.value)
        except InvalidMessage:
            # Not written by a capture: what cannot be read states nothing.
            if topic in CAPTURED_TOPICS:
                continue
            said = None
        yield record.key.decode(errors="replace"), said
