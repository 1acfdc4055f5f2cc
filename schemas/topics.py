"""The topic catalogue: what each topic holds, its key, its model, how it is kept, who writes and who reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from schemas import models
from schemas.attributes import CanonicalModel

DAY_MILLISECONDS = 24 * 60 * 60 * 1000
HISTORY_MILLISECONDS = 30 * DAY_MILLISECONDS
"""So long the topics of master data keep every image: as long as captured events live, whose time they tell of."""
FINDINGS_MILLISECONDS = 400 * DAY_MILLISECONDS
"""So long the topic of differences keeps each of them and its healing, so that weeks of a year can be compared (S9)."""
LARGEST_RECORD_BYTES = 8 * 1024 * 1024
"""Of every topic but the captured ones, which keep Kafka's 1 MiB: what follows from an event holds it and more."""


KEY_SEGMENT_MILLISECONDS = 60 * 1000
"""A segment of keys takes no record that is younger than its first by so much: what was destroyed is removed then."""
_SOON_DESTROYED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.0",
    "segment.ms": str(KEY_SEGMENT_MILLISECONDS),
    "max.compaction.lag.ms": str(60 * 60 * 1000),
    "delete.retention.ms": str(7 * DAY_MILLISECONDS),
    "file.delete.delay.ms": "1000",
}
"""Of keys: what a tombstone replaces is off the disk as soon as Kafka can do that."""


class Retention(Enum):
    """How long a topic keeps its records."""

    COMPACTED = "compact"
    FOREVER = "forever"
    MONTH = "month"


class Partitioning(Enum):
    """How many partitions a topic has."""

    ORDER = "order"
    """As many as every other order-keyed topic, so that all about one order meets in one worker."""
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the catalogue."""

    name: str
    model: type[CanonicalModel]
    key: str
    purpose: str
    retention: Retention
    partitioning: Partitioning
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = field(default=())

    @property
    def subject(self) -> str:
        """Name of its values' schema in the registry."""
        return f"{self.name}-value"

    def config(self) -> dict[str, str]:
        """Its topic-level configuration, in Kafka's own words."""
        common = {"compression.type": "producer"}
        if self.name not in CAPTURED_TOPICS:
            common["max.message.bytes"] = str(LARGEST_RECORD_BYTES)
        if self.retention is Retention.COMPACTED:
            if self.name in (*MASTER_TOPICS, VENDOR_STOCK):
                common["min.compaction.lag.ms"] = str(HISTORY_MILLISECONDS)
            if self.name == MISMATCHES:
                common["min.compaction.lag.ms"] = str(FINDINGS_MILLISECONDS)
            if self.name == PUBLISHED:
                common["min.compaction.lag.ms"] = str(HISTORY_MILLISECONDS)
            if self.name == SUBJECT_KEYS:
                return common | _SOON_DESTROYED
            return common | {
                "cleanup.policy": "compact",
                "min.cleanable.dirty.ratio": "0.1",
                "segment.ms": str(DAY_MILLISECONDS),
                "delete.retention.ms": str(7 * DAY_MILLISECONDS),
            }
        days = 30 if self.retention is Retention.MONTH else None
        return common | {
            "cleanup.policy": "delete",
            "retention.ms": "-1" if days is None else str(days * DAY_MILLISECONDS),
        }


ORDERS_CAPTURED = "orders.captured"
FULFILMENT_CAPTURED = "fulfilment.captured"
PAYMENTS_CAPTURED = "payments.captured"
CUSTOMERS = "master.customers"
PRODUCTS = "master.products"
VENDORS = "master.vendors"
FX_RATES = "master.fx-rates"
ORDER_EVENTS = "orders.events"
ORDER_STATE = "orders.state"
PARKED = "orders.parked"
REJECTED = "orders.rejected"
POSTINGS = "gl.postings"
MISMATCHES = "orders.mismatches"
BACKUP = "backup.orders"
AUDIT = "audit.events"
CAPTURE_SIGNALS = "capture.signals"
DELIVERIES = "capture.deliveries"
VENDOR_UPDATES = "vendors.updates"
VENDOR_TOPICS = "vendors.updates."
"""Start of the names of the topics that one vendor reads: `schemas.vendor_topics`."""
VENDOR_ACKNOWLEDGEMENTS = "vendors.acknowledgements"
VENDOR_ANSWERS = "vendors.answers"
VENDOR_STOCK = "vendors.stock"
PUBLISHED = "orders.published"
SUBJECT_KEYS = "privacy.keys"
SUBJECT_ERASURES = "privacy.erasures"

CAPTURED_TOPICS = (ORDERS_CAPTURED, FULFILMENT_CAPTURED, PAYMENTS_CAPTURED, VENDOR_ANSWERS)
MASTER_TOPICS = (CUSTOMERS, PRODUCTS, VENDORS, FX_RATES)

_CAPTURE = ("capture",)
_STREAMS = ("streams",)

CATALOGUE: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(
            ORDERS_CAPTURED,
            models.OrderCaptured,
            "order_id",
            "The whole order after each transaction of the system that sells",
            Retention.MONTH,
            Partitioning.ORDER,
            (*_CAPTURE, "api", "documents", "console"),
            ("streams", "backup", "api", "documents", "console"),
        ),
        Topic(
            FULFILMENT_CAPTURED,
            models.FulfilmentCaptured,
            "order_id",
            "All shipments and returns of an order after each transaction of inventory",
            Retention.MONTH,
            Partitioning.ORDER,
            (*_CAPTURE, "console"),
            ("streams", "backup", "console"),
        ),
        Topic(
            PAYMENTS_CAPTURED,
            models.PaymentsCaptured,
            "order_id",
            "All invoices and payments of an order after each transaction of finance",
            Retention.MONTH,
            Partitioning.ORDER,
            (*_CAPTURE, "console"),
            ("streams", "backup", "console"),
        ),
        Topic(
            CUSTOMERS,
            models.Customer,
            "customer_id, or customer_id@valid_from",
            "Customers; with a start of validity where the source dates their terms",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            _CAPTURE,
            (*_STREAMS, "documents", "console"),
        ),
        Topic(
            PRODUCTS,
            models.Product,
            "product_id, or product_id@valid_from",
            "Products; with a start of validity where the source dates their costs and prices",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            _CAPTURE,
            (*_STREAMS, "documents", "console"),
        ),
        Topic(
            VENDORS,
            models.Vendor,
            "vendor_id",
            "Suppliers",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            _CAPTURE,
            _STREAMS,
        ),
        Topic(
            FX_RATES,
            models.FxRate,
            "base:quote:date",
            "Exchange rates, one for each pair and day",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            _CAPTURE,
            (*_STREAMS, "console"),
        ),
        Topic(
            ORDER_EVENTS,
            models.OrderEvent,
            "order_id",
            "Every version of every order, with the whole order at that version",
            Retention.FOREVER,
            Partitioning.ORDER,
            _STREAMS,
            ("erp", "backup", "vendors", "publisher", "deliveries", "api", "documents", "console"),
        ),
        Topic(
            ORDER_STATE,
            models.OrderState,
            "order_id",
            "The latest version of every order: the synchronized state",
            Retention.COMPACTED,
            Partitioning.ORDER,
            _STREAMS,
            ("streams", "warehouse", "reconcile", "api", "documents", "console", "write-back"),
        ),
        Topic(
            PARKED,
            models.ParkedOrder,
            "order_id",
            "Orders that wait for a master record; a tombstone when released",
            Retention.COMPACTED,
            Partitioning.ORDER,
            _STREAMS,
            ("streams", "deliveries", "reconcile", "api", "documents", "console", "write-back"),
        ),
        Topic(
            REJECTED,
            models.Rejection,
            "order_id",
            "Refused events: the original bytes and every reason",
            Retention.FOREVER,
            Partitioning.ORDER,
            (
                *_CAPTURE,
                "streams",
                "erp",
                "warehouse",
                "vendors",
                "publisher",
                "deliveries",
                "documents",
                "write-back",
                "api",
            ),
            ("backup", "deliveries", "reconcile", "api", "documents", "console", "write-back"),
        ),
        Topic(
            POSTINGS,
            models.JournalEntry,
            "order_id",
            "Balanced journal entries",
            Retention.FOREVER,
            Partitioning.ORDER,
            _STREAMS,
            ("warehouse", "backup", "console"),
        ),
        Topic(
            MISMATCHES,
            models.Mismatch,
            "mismatch_id",
            "Differences between systems; a tombstone when healed",
            Retention.COMPACTED,
            Partitioning.ORDER,
            ("reconcile",),
            ("console", "cli", "write-back"),
        ),
        Topic(
            BACKUP,
            models.BackupRecord,
            "order_id",
            "Append-only, hash-chained copy of every order topic",
            Retention.FOREVER,
            Partitioning.ORDER,
            ("backup",),
            ("reconcile",),
        ),
        Topic(
            AUDIT,
            models.AuditEvent,
            "subject",
            "Who did what",
            Retention.FOREVER,
            Partitioning.SINGLE,
            ("cli", "console", "api"),
            ("console",),
        ),
        Topic(
            CAPTURE_SIGNALS,
            models.CaptureSignal,
            "system",
            "Requests to read part of a source again while its changes go on streaming, and the captures' answers",
            Retention.MONTH,
            Partitioning.SINGLE,
            ("cli", *_CAPTURE, "console"),
            ("cli", *_CAPTURE),
        ),
        Topic(
            DELIVERIES,
            models.Delivery,
            "system/delivery_id",
            "How far each delivery of files was written",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            ("cli",),
            ("cli",),
        ),
        Topic(
            VENDOR_UPDATES,
            models.VendorUpdate,
            "vendor_id:order_id",
            "What each vendor is told of its own lines; on the partition of the order",
            Retention.FOREVER,
            Partitioning.ORDER,
            ("vendors",),
            ("vendors", "deliveries", "reconcile", "cli", "console"),
        ),
        Topic(
            VENDOR_ACKNOWLEDGEMENTS,
            models.VendorAcknowledgement,
            "vendor_id:order_id",
            "Which updates the vendors have taken into their systems",
            Retention.MONTH,
            Partitioning.ORDER,
            ("api", "cli", "documents"),
            ("deliveries",),
        ),
        Topic(
            VENDOR_ANSWERS,
            models.VendorAnswered,
            "order_id",
            "What vendors answer about their lines of an order: confirmations and dispatch advices",
            Retention.FOREVER,
            Partitioning.ORDER,
            ("api", "documents", "console"),
            ("streams", "backup", "api", "documents", "console"),
        ),
        Topic(
            VENDOR_STOCK,
            models.VendorStock,
            "vendor_id:product_id",
            "What vendors have in stock, as they last said",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            ("api", "documents"),
            ("api", "documents", "cli", "console"),
        ),
        Topic(
            PUBLISHED,
            models.PublishedOrder,
            "order_id",
            "Every version of every order of the last 30 days, then the latest, for other departments: personal "
            "attributes are sealed",
            Retention.COMPACTED,
            Partitioning.ORDER,
            ("publisher",),
            ("publisher", "subscriber", "subscriber-personal"),
        ),
        Topic(
            SUBJECT_KEYS,
            models.SubjectKey,
            "subject/key_id",
            "Encrypted keys of what is sealed; a tombstone when destroyed",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            ("publisher", "cli"),
            ("publisher", "subscriber-personal", "cli"),
        ),
        Topic(
            SUBJECT_ERASURES,
            models.SubjectErasure,
            "subject",
            "For whom nothing is sealed any more; outlives the keys",
            Retention.COMPACTED,
            Partitioning.SINGLE,
            ("cli",),
            ("publisher", "subscriber-personal", "cli"),
        ),
    )
}
