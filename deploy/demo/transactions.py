"""One source transaction of the demonstration business: which system, what it means, and its statements."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import LiteralString


class System(StrEnum):
    """The three systems that the business trades in; each has a database of that name."""

    CRM = "crm"
    INVENTORY = "inventory"
    FINANCE = "finance"


class Step(StrEnum):
    """What a transaction means to the business."""

    MASTER_DATA = "master data"
    PLACED = "placed"
    CORRECTED = "corrected"
    CHANGED = "changed"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    INVOICED = "invoiced"
    PAID = "paid"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    RETURNED = "returned"
    CREDITED = "credited"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement; applied twice it has the effect of once, so that a broken connection may repeat it."""

    text: LiteralString
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Statements that commit together in one system."""

    system: System
    step: Step
    statements: tuple[Statement, ...]
    order_number: int | None = None
