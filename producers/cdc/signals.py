"""Takes requests from the topic of signals and makes jobs of them; each is done once, also across restarts."""

from __future__ import annotations

import json
import logging
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from producers.cdc.answers import DONE, PROGRESS, REFUSED, note_refused
from producers.cdc.assembly_state import AssemblyState
from producers.cdc.changes import RowReader
from producers.cdc.jobs import Cause, Job, KeyText
from producers.cdc.kafka_log import kafka_log
from producers.cdc.portions import ColumnBound
from producers.cdc.publisher import kafka_error
from producers.cdc.tables import TablePlan, TablePlans
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import InvalidMessage, InvalidValue
from schemas.mapping import AggregateMapping
from schemas.models import CaptureSignal
from schemas.settings import KafkaSettings
from schemas.topics import CAPTURE_SIGNALS

RESYNC: Final = "resync"
_ANSWERS: Final = frozenset({PROGRESS, DONE, REFUSED})
_POSITION: Final = b"signals"
"""Note: the offset of the next signal."""
_PARTITION: Final = 0
_ANSWER_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


class KnowsValues(Protocol):
    """The source, as far as it is needed to find an order's row."""

    @property
    def values(self) -> RowReader:
        """Knows the source's types."""
        ...


class Signals:
    """Belongs to one attempt. The offset is kept with the jobs, in one batch: none is lost or done twice."""

    def __init__(
        self, kafka: KafkaSettings, schemas: SchemaIds, state: AssemblyState, system: str, topic_prefix: str
    ) -> None:
        """Raises SchemaDrift if the schema is not registered, Transient while Kafka or the registry are away."""
        self._state = state
        self._system = system
        self._topic = topic_prefix + CAPTURE_SIGNALS
        self._codec: TopicCodec[CaptureSignal] = TopicCodec(self._topic, CaptureSignal, schemas)
        self._consumer = Consumer(
            kafka.client_config(
                **{
                    "group.id": f"ordersync-capture-{system}",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "fetch.wait.max.ms": 500,
                }
            ),
            logger=kafka_log(),
        )
        try:
            self._consumer.assign([TopicPartition(self._topic, _PARTITION, self._begin())])
        except BaseException:
            self._consumer.close()
            raise

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def taken(self, plans: TablePlans, source: KnowsValues) -> list[Job]:
        """The jobs that have been asked for since; what cannot be done is said in the log.

        Raises Transient while Kafka is away.
        """
        jobs = []
        for message in self._consumer.consume(100, 0.0):
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    continue
                raise kafka_error(error, f"reading {self._topic}")
            offset, value = message.offset(), message.value()
            assert offset is not None
            self._state.put_note(_POSITION, json.dumps(offset + 1).encode())
            signal = None
            try:
                signal = None if value is None else self._codec.decode(value)
                if signal is not None and signal.system == self._system and signal.action not in _ANSWERS:
                    jobs += jobs_of(signal, plans, source.values, self._state)
            except InvalidMessage as exc:
                _log.error("a signal (offset %d of %s) cannot be followed: %s", offset, self._topic, exc)
                if signal is not None:
                    note_refused(self._state, signal.signal_id, str(exc))
        return jobs

    def _begin(self) -> int:
        noted = self._state.note(_POSITION)
        try:
            first, end = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, _PARTITION), timeout=_ANSWER_SECONDS
            )
        except KafkaException as exc:
            raise kafka_error(exc, f"reading {self._topic}") from exc
        if noted is not None:
            return max(first, int(json.loads(noted)))
        # Requests from before the first snapshot ask for nothing that it does not do.
        self._state.put_note(_POSITION, json.dumps(end).encode())
        return end


def jobs_of(signal: CaptureSignal, plans: TablePlans, values: RowReader, state: AssemblyState) -> list[Job]:
    """The jobs that a signal asks for, one for each tree that it concerns.

    Raises:
        InvalidValue: it names what does not exist, or asks for nothing.
    """
    if signal.action != RESYNC:
        raise InvalidValue(f"action {signal.action!r} is unknown; {RESYNC!r} is what can be asked for", field="action")
    if signal.order_ids:
        return _of_orders(signal, plans, values, state)
    trees = [top for top in plans.roots if signal.table is None or _concerns(top, signal.table)]
    if not trees:
        raise InvalidValue(f"the mapping has no table {signal.table!r} that is captured", field="table")
    bounds = _bounds(signal)
    if bounds:
        column = bounds[0].column
        trees = [top for top in trees if top.relation and column in {known.name for known in top.relation.columns}]
        if not trees:
            raise InvalidValue(f"no root table that was asked for has a mapped column {column!r}", field="column")
    return [
        Job(signal.signal_id, Cause.REQUEST, [top.alias], gated=False, whole=not bounds, bounds=list(bounds))
        for top in trees
    ]


def _bounds(signal: CaptureSignal) -> list[ColumnBound]:
    limits = ((">=", signal.range_from), ("<=", signal.range_to), ("<", signal.range_before))
    given = [(operator, value) for operator, value in limits if value is not None]
    if given and not signal.column:
        raise InvalidValue("a range needs the name of a column", field="column")
    if signal.column and not given:
        raise InvalidValue(f"no range is given for column {signal.column!r}", field="range_from")
    return [ColumnBound(str(signal.column), operator, value) for operator, value in given]


def _concerns(top: TablePlan, table: str) -> bool:
    return any(table in (plan.mapping.qualified_name, plan.mapping.name, plan.alias) for plan in top.subtree)


def _of_orders(signal: CaptureSignal, plans: TablePlans, values: RowReader, state: AssemblyState) -> list[Job]:
    wanted = {order.strip() for order in (signal.order_ids or "").split(",") if order.strip()}
    jobs, found = [], set[str]()
    for top in plans.roots:
        keys: dict[str, KeyText] = {}
        for number, aggregate in enumerate(plans.mapping.aggregates):
            if aggregate.root == top.alias and aggregate.section is not None:
                keys |= {order: key for order in wanted if (key := _native_key(order, aggregate, top, values))}
                if missing := wanted - keys.keys():
                    keys |= _kept_keys(missing, number, top, state)
        found |= keys.keys()
        if keys:
            jobs.append(Job(signal.signal_id, Cause.REQUEST, [top.alias], False, False, keys=list(keys.values())))
    if missing := wanted - found:
        _log.error(
            "resync %s: no key can be told from the order ids %s",
            signal.signal_id,
            ", ".join(sorted(missing)),
        )
    if not jobs:
        raise InvalidValue(f"none of the orders {', '.join(sorted(wanted))} is known", field="order_ids")
    return jobs


def _native_key(order: str, aggregate: AggregateMapping, top: TablePlan, values: RowReader) -> KeyText | None:
    """The native id behind the system's name, if the mapping makes the same order id of it."""
    if top.relation is None or len(top.mapping.key) != 1 or ":" not in order:
        return None
    native = order.split(":", 1)[1]
    column = top.mapping.key[0]
    row = tuple(native.encode() if c.name == column else None for c in top.relation.columns)
    try:
        made = aggregate.key_of(values.row_values(top.relation, [column])(row))
    except InvalidValue:
        return None
    return [native] if made == order else None


def _kept_keys(orders: set[str], number: int, top: TablePlan, state: AssemblyState) -> dict[str, KeyText]:
    """Keys of roots that stand on the topic under these ids; goes through all of them."""
    found: dict[str, KeyText] = {}
    for root in state.nodes(top.prefix):
        order = state.node(root).emitted.get(number)
        if order in orders:
            found[order] = [value.decode() for value in top.key_values(root[2:])]
            if len(found) == len(orders):
                break
    return found
