"""Reads what went wrong from the topics that keep it: differences, refused events and versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from consumers.reconcile.consolidation import Consolidation, rates_as_of
from deploy.commands.options import Cluster
from deploy.improvement.episodes import MismatchRecord, episodes
from deploy.improvement.figures import LATE_SECONDS, Improvement
from deploy.improvement.findings import TimedVersion, worth_of
from deploy.improvement.refusals import RefusalReader
from deploy.record_reading import Progress, RecordReader, StoredRecord, say_nothing
from deploy.topic_reading import read_topic
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import FxRate, Mismatch, OrderEvent, SourcePosition
from schemas.registry import SchemaRegistry
from schemas.topics import FULFILMENT_CAPTURED, FX_RATES, MISMATCHES, ORDER_EVENTS, ORDERS_CAPTURED, PAYMENTS_CAPTURED


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: weeks up to a time, in one currency."""

    as_of: datetime
    weeks: int = 8
    currency_code: str = "EUR"
    late_seconds: float = LATE_SECONDS


def improvement_of(question: Question, cluster: Cluster, progress: Progress = say_nothing) -> Improvement:
    """The figures of the weeks, read from `orders.mismatches`, `orders.rejected` and `orders.events`.

    Called by `ordersync improvement` and by the console's page. Of the versions only those written in these weeks are
    read, each once. Amounts are converted at the newest rates up to `as_of`. Changes nothing. Source: S9.

    Raises:
        ConfigurationError: a topic is missing, or may not be read.
        SchemaDrift: this version's schemas are not registered.
        UndecodableMessage: a record is not what the topic should hold.
        Transient: the cluster or the registry does not answer.
    """
    rates = Consolidation(question.as_of, question.currency_code)
    known = iter(read_topic(cluster, FX_RATES, FxRate))
    rates.rates = rates_as_of(known, question.as_of.date(), question.currency_code)
    made = Improvement(
        question.as_of,
        question.weeks,
        question.currency_code,
        lambda money: rates.converted(money.currency_code, money.amount),
        question.late_seconds,
    )
    with closing(SchemaRegistry(cluster.registry)) as registry, RecordReader(cluster.kafka, progress) as reader:
        for finding in episodes(_mismatches(reader, registry)):
            made.count(finding)
        for finding in RefusalReader(reader, registry).findings(made.since):
            made.count(finding)
        for version in _versions(reader, registry, made.since):
            made.time(version)
    return made


def _mismatches(reader: RecordReader, registry: SchemaIds) -> Iterator[MismatchRecord]:
    codec = TopicCodec(MISMATCHES, Mismatch, registry)
    for record in reader.read(reader.spans(MISMATCHES)):
        mismatch = None if record.value is None else codec.decode(record.value)
        yield MismatchRecord(record.key.decode(errors="replace"), record.written_at, mismatch)


def _versions(reader: RecordReader, registry: SchemaIds, since: datetime) -> Iterator[TimedVersion]:
    codec = TopicCodec(ORDER_EVENTS, OrderEvent, registry)
    for record in reader.read(reader.spans(ORDER_EVENTS, since=since)):
        if (version := _version(codec, record)) is not None:
            yield version


def _version(codec: TopicCodec[OrderEvent], record: StoredRecord) -> TimedVersion | None:
    """None of a first copy of a source: its orders were committed long before anybody asked for them."""
    event = codec.decode(record.value or b"")
    state, source = event.state, _source(event)
    if source is None or source.transaction_id == 0:
        return None
    return TimedVersion(
        source.system, state.order_id, state.committed_at, event.captured_at, state.processed_at, worth_of(state.order)
    )


def _source(event: OrderEvent) -> SourcePosition | None:
    state = event.state
    positions = {
        ORDERS_CAPTURED: state.order_source,
        FULFILMENT_CAPTURED: state.fulfilment_source,
        PAYMENTS_CAPTURED: state.settlement_source,
    }
    return positions.get(event.topic)
