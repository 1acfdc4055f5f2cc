"""What stands on the topics by their own word, for the case that the kept rows, which would tell, were lost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from producers.cdc.aggregates import NodeId
from producers.cdc.assembly_state import AssemblyState, Standing
from producers.cdc.facts import Withdrawn
from producers.cdc.kafka_log import kafka_log
from producers.cdc.publisher import kafka_error
from producers.cdc.records import DELETED
from producers.cdc.tables import TablePlans
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import InvalidMessage, Transient
from schemas.mapping import AggregateMapping, SourceMapping
from schemas.settings import KafkaSettings

_CLAIM: Final = b"claim/"
_SLICE: Final = 5_000
_ANSWER_SECONDS: Final = 30.0
_BATCH_SECONDS: Final = 0.1


class StandingKeys(NamedTuple):
    """The keys that stand on the topics of one source, by topic, and the greatest position said there."""

    keys: dict[str, set[str]]
    position: int


class Claims:
    """Compares noted claims with the kept rows, some at a time, while changes stream."""

    def __init__(self, plans: TablePlans, state: AssemblyState) -> None:
        self._plans = plans
        self._state = state
        self._aggregates = plans.mapping.aggregates
        self._roots = self._all_roots()
        self._touched: dict[NodeId, None] = {}

    def compared(self) -> bool:
        """Go through some kept roots; whether that were all."""
        some = list(islice(self._roots, _SLICE))
        for root in some:
            self._uphold(root)
        return len(some) < _SLICE

    def touched(self, roots: Iterable[NodeId]) -> None:
        """These changed meanwhile: they are looked at once more."""
        self._touched.update(dict.fromkeys(roots))

    def left(self) -> list[Withdrawn]:
        """What no kept row upholds; nothing is claimed afterwards.

        Of a topic whose aggregates are stopped nothing is withdrawn: their kept rows are not looked at now.
        """
        for root in self._touched:
            self._uphold(root)
        stopped = {a.topic.name for a in self._aggregates if a.root not in self._plans.by_alias}
        by_topic = {a.topic.name: a for a in self._aggregates if a.topic.name not in stopped}
        withdrawn = []
        for name in list(self._state.notes(_CLAIM)):
            topic, key = name.removeprefix(_CLAIM).decode().split("/", 1)
            if topic in by_topic:
                withdrawn.append(Withdrawn(by_topic[topic], key))
            self._state.put_note(name, None)
        return withdrawn

    def _all_roots(self) -> Iterator[NodeId]:
        for top in self._plans.roots:
            yield from self._state.nodes(top.prefix)

    def _uphold(self, root: NodeId) -> None:
        for number, key in self._state.node(root).emitted.items():
            name = _name(self._aggregates[number].topic.name, key)
            if self._state.note(name) is not None:
                self._state.put_note(name, None)


def claim_before_saying(state: AssemblyState, standing: Standing, said: Iterable[tuple[str, str]]) -> None:
    """Note durably that these keys of topics will stand, before they do; the rows that tell so are not durable yet.

    The notes go with the seal that makes the rows durable. Left over after a crash, they are compared with the rows
    that are kept then (`Cause.CLAIMS`), so that nothing stands for ever that was said just before it.
    """
    names = [_name(topic, key) for topic, key in said]
    if names:
        state.write_notes(standing, dict.fromkeys(names, b""))
    for name in names:
        state.put_note(name, None)


def has_claims(state: AssemblyState) -> bool:
    """Whether any are noted."""
    return next(iter(state.notes(_CLAIM)), None) is not None


def note_claims(state: AssemblyState, keys: dict[str, set[str]]) -> None:
    """Note what stands on the topics."""
    for topic, found in keys.items():
        for key in found:
            state.put_note(_name(topic, key), b"")


def standing_keys(kafka: KafkaSettings, mapping: SourceMapping, prefix: str, schemas: SchemaIds) -> StandingKeys:
    """Read the mapping's topics from their beginning: what of this source was said last and not withdrawn.

    Raises Transient while Kafka or the registry are away.
    """
    keys: dict[str, set[str]] = {}
    position = -1
    config = kafka.client_config(**{"group.id": "ordersync-capture-claims", "enable.auto.commit": False})
    consumer = Consumer(config, logger=kafka_log())
    try:
        for aggregate in {aggregate.topic.name: aggregate for aggregate in mapping.aggregates}.values():
            topic = aggregate.topic.name
            keys[topic] = set()
            for key, said in _last_said(consumer, aggregate, prefix, schemas):
                if said is None or said.source.system != mapping.system:
                    keys[topic].discard(key)
                    continue
                position = max(position, said.source.position)
                if getattr(said, "operation", "") == DELETED:
                    keys[topic].discard(key)
                else:
                    keys[topic].add(key)
    finally:
        consumer.close()
    return StandingKeys(keys, position)


def _last_said(
    consumer: Consumer, aggregate: AggregateMapping, prefix: str, schemas: SchemaIds
) -> Iterator[tuple[str, Any]]:
    name = prefix + aggregate.topic.name
    codec: TopicCodec[Any] = TopicCodec(name, aggregate.topic.model, schemas)
    doing = f"reading what stands on {name}"
    try:
        numbers = consumer.list_topics(name, timeout=_ANSWER_SECONDS).topics[name].partitions
        left = {}
        for number in numbers:
            start, end = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=_ANSWER_SECONDS)
            if end > start:
                left[number] = end
        consumer.assign([TopicPartition(name, number, 0) for number in left])
        deadline = time.monotonic() + _ANSWER_SECONDS
        while left:
            messages = consumer.consume(10_000, timeout=_BATCH_SECONDS)
            if messages:
                deadline = time.monotonic() + _ANSWER_SECONDS
            elif time.monotonic() > deadline:
                raise Transient(f"{doing}: Kafka does not answer; is the broker running?")
            for message in messages:
                if (error := message.error()) is not None:
                    raise kafka_error(error, doing)
                key, value = message.key(), message.value()
                if key is not None:
                    yield key.decode(), _decoded(codec, value)
            for position in consumer.position([TopicPartition(name, number) for number in left]):
                if position.offset >= left[position.partition]:
                    del left[position.partition]
    except KafkaException as exc:
        raise kafka_error(exc, doing) from exc


def _decoded(codec: TopicCodec[Any], value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return codec.decode(value)
    except InvalidMessage:
        # Not ours: nothing that the capture wrote is undecodable.
        return None


def _name(topic: str, key: str) -> bytes:
    return _CLAIM + f"{topic}/{key}".encode()
