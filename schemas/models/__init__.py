"""The canonical models, one module for each owner or purpose."""

from schemas.models.answers import (
    ConfirmedLine,
    Despatch,
    DespatchedLine,
    VendorAnswer,
    VendorAnswered,
    VendorStock,
)
from schemas.models.audit import AuditEvent
from schemas.models.backup import BackupRecord
from schemas.models.capture import CaptureSignal
from schemas.models.delivery import DeliveredFile, Delivery
from schemas.models.exceptions import (
    AwaitedRecord,
    MessageHeader,
    OriginalMessage,
    ParkedOrder,
    Rejection,
    Violation,
)
from schemas.models.fulfilment import Fulfilment, FulfilmentCaptured, HandledLine, Return, Shipment
from schemas.models.ledger import JournalEntry, JournalLine
from schemas.models.master import Customer, FxRate, MasterRecord, Product, Vendor
from schemas.models.order import Address, OrderCaptured, OrderLine, SalesOrder
from schemas.models.partners import VendorAcknowledgement, VendorLine, VendorUpdate
from schemas.models.published import PublishedOrder, SealedPart, SubjectErasure, SubjectKey
from schemas.models.reconciliation import Mismatch
from schemas.models.settlement import Invoice, Payment, PaymentsCaptured, Settlement
from schemas.models.source import CapturedEvent, SourcePosition, event_id_of
from schemas.models.state import EnrichedLine, Enrichment, OrderEvent, OrderState, RuleWarning

__all__ = [
    "Address",
    "AuditEvent",
    "AwaitedRecord",
    "BackupRecord",
    "CaptureSignal",
    "CapturedEvent",
    "ConfirmedLine",
    "Customer",
    "DeliveredFile",
    "Delivery",
    "Despatch",
    "DespatchedLine",
    "EnrichedLine",
    "Enrichment",
    "Fulfilment",
    "FulfilmentCaptured",
    "FxRate",
    "HandledLine",
    "Invoice",
    "JournalEntry",
    "JournalLine",
    "MasterRecord",
    "MessageHeader",
    "Mismatch",
    "OrderCaptured",
    "OrderEvent",
    "OrderLine",
    "OrderState",
    "OriginalMessage",
    "ParkedOrder",
    "Payment",
    "PaymentsCaptured",
    "Product",
    "PublishedOrder",
    "Rejection",
    "Return",
    "RuleWarning",
    "SalesOrder",
    "SealedPart",
    "Settlement",
    "Shipment",
    "SourcePosition",
    "SubjectErasure",
    "SubjectKey",
    "Vendor",
    "VendorAcknowledgement",
    "VendorAnswer",
    "VendorAnswered",
    "VendorLine",
    "VendorStock",
    "VendorUpdate",
    "Violation",
    "event_id_of",
]
