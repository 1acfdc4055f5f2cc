"""Reads from Kafka what rules are tried against: versions, refused events, and the master data of today."""

from __future__ import annotations

from deploy.commands.options import Cluster
from deploy.rules_trial import History, RefusedEvent
from deploy.topic_reading import read_topic
from schemas.codec import TopicCodec
from schemas.errors import InvalidMessage
from schemas.models import (
    CapturedEvent,
    Customer,
    FxRate,
    OrderEvent,
    OrderState,
    Product,
    Rejection,
    VendorAnswered,
)
from schemas.registry import SchemaRegistry
from schemas.topics import (
    CAPTURED_TOPICS,
    CUSTOMERS,
    FX_RATES,
    ORDER_EVENTS,
    ORDER_STATE,
    PRODUCTS,
    REJECTED,
    VENDOR_ANSWERS,
)
from streams.processing.codecs import Codecs
from streams.processing.keyvalues import MemoryKeyValues
from streams.processing.master import MasterTables
from streams.rules.facts import EVENT_MODELS, Section


def read_master(cluster: Cluster) -> MasterTables:
    """Every version of each master record that the topics have.

    Raises:
        Transient: the cluster or the registry does not answer.
    """
    registry = SchemaRegistry(cluster.registry)
    try:
        tables = MasterTables(MemoryKeyValues(), Codecs(registry))
    finally:
        registry.close()
    for topic, model in ((CUSTOMERS, Customer), (PRODUCTS, Product), (FX_RATES, FxRate)):
        for record in read_topic(cluster, topic, model):
            tables.put(topic, record)
    return tables


def read_states(cluster: Cluster) -> list[OrderState]:
    """The latest version of each order. Raises as `read_master` does."""
    return list({state.order_id: state for state in read_topic(cluster, ORDER_STATE, OrderState)}.values())


def read_history(cluster: Cluster) -> History:
    """Versions, vendors' answers, and the refused events that can be decoded. Raises as `read_master` does."""
    registry = SchemaRegistry(cluster.registry)
    try:
        codecs: dict[str, TopicCodec[CapturedEvent]] = {
            section.value: TopicCodec(section.value, model, registry) for section, model in EVENT_MODELS.items()
        }
        refused = []
        for letter in read_topic(cluster, REJECTED, Rejection):
            if letter.original.topic in CAPTURED_TOPICS and letter.original.value is not None:
                try:
                    event = codecs[Section(letter.original.topic).value].decode(letter.original.value)
                except InvalidMessage:  # no rule says anything about what nobody can read
                    continue
                refused.append(RefusedEvent(event, letter.rejected_at))
    finally:
        registry.close()
    answers = {answer.event_id: answer for answer in read_topic(cluster, VENDOR_ANSWERS, VendorAnswered)}
    return History(read_topic(cluster, ORDER_EVENTS, OrderEvent), refused, answers)
