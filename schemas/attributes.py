"""What a canonical attribute carries besides its value: description, owner, classification, unit and Avro type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, NewType, Self

from pydantic import BaseModel, ConfigDict, Field

OrderId = NewType("OrderId", str)
"""`<system>:<native id>`; the key of every order topic."""
CustomerId = NewType("CustomerId", str)
ProductId = NewType("ProductId", str)
VendorId = NewType("VendorId", str)
EventId = NewType("EventId", str)
"""UUIDv5 of the source position, as text."""


STAFF = "staff"
"""The data subject of an attribute whose value is the name of one who works here."""

_put = object.__setattr__


@dataclass(frozen=True, slots=True)
class AvroDecimal:
    """Marks a `Decimal` field with the precision and scale that it has on the wire."""

    precision: int
    scale: int


Amount = Annotated[Decimal, AvroDecimal(19, 4)]
"""Money in the document's currency; four decimals hold every ISO 4217 exponent."""
UnitPrice = Annotated[Decimal, AvroDecimal(19, 6)]
"""Price for one unit; may be finer than the currency's smallest coin."""
Quantity = Annotated[Decimal, AvroDecimal(19, 6)]
Percent = Annotated[Decimal, AvroDecimal(9, 4)]
ExchangeRate = Annotated[Decimal, AvroDecimal(19, 10)]
Instant = datetime
"""Aware UTC time with microseconds."""
Day = date


class CanonicalModel(BaseModel):
    """Base of every model on a topic; a subclass names the owner and classification of its attributes.

    Declared as `class Shipment(CanonicalModel, owner="inventory", classification="internal")`. An attribute may
    differ from its model through `attribute(..., owner=..., classification=...)`.
    Source: I2 (standard structures and attribute definitions), S8 (clear owners of data domains).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: ClassVar[str] = "ordersync"
    classification: ClassVar[str] = "internal"
    __field_names: ClassVar[set[str]] = set()

    @classmethod
    def trusted(cls, **values: Any) -> Self:
        """An instance made of values that are known to be of their fields' types; every field must be given.

        For hot paths whose values come from other instances: skips pydantic's checks, which cost ten times as much.
        """
        instance = cls.__new__(cls)
        _put(instance, "__dict__", values)
        _put(instance, "__pydantic_fields_set__", cls.__field_names)
        _put(instance, "__pydantic_extra__", None)
        _put(instance, "__pydantic_private__", None)
        return instance

    @classmethod
    def __pydantic_init_subclass__(
        cls, *, owner: str | None = None, classification: str | None = None, **kwargs: Any
    ) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.__field_names = set(cls.model_fields)
        if owner is not None:
            cls.owner = owner
        if classification is not None:
            if classification not in CLASSIFICATIONS:
                raise ValueError(f"{cls.__name__}: classification is one of {', '.join(CLASSIFICATIONS)}")
            cls.classification = classification

    def __init_subclass__(cls, *, owner: str | None = None, classification: str | None = None, **kw: Any) -> None:
        super().__init_subclass__(**kw)


CLASSIFICATIONS = ("public", "internal", "confidential", "personal")


def attribute(
    description: str,
    *,
    default: Any = ...,
    owner: str | None = None,
    classification: str | None = None,
    unit: str | None = None,
    data_subject: str | None = None,
) -> Any:
    """Declare one attribute; the data catalogue and the `.avsc` documentation are generated from it.

    `data_subject` is for a personal attribute that tells of somebody else than the customer: its value is who that is.
    """
    if classification is not None and classification not in CLASSIFICATIONS:
        raise ValueError(f"classification is one of {', '.join(CLASSIFICATIONS)}, not {classification!r}")
    governance = {"owner": owner, "classification": classification, "unit": unit, "data_subject": data_subject}
    extra: dict[str, Any] = {key: value for key, value in governance.items() if value is not None}
    if isinstance(default, list):
        return Field(default_factory=list, description=description, json_schema_extra=extra)
    return Field(default, description=description, json_schema_extra=extra)
