"""In which terms two systems can be compared, and what each says of an order in them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from consumers.reconcile import erp_image as erp
from consumers.reconcile.attributes import Attributes, model_attributes, text_of
from consumers.reconcile.comparison import ERP, LEDGER, SOURCE, STATE
from consumers.reconcile.facts import DELETED, OrderFacts, facts_of
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.invariants import Balance, Measure, attributes_of, balances_of, expected_ledger
from schemas.models import Fulfilment, OrderState, SalesOrder, Settlement

_ZERO = Decimal(0)


class Terms(Enum):
    """What two systems both know; the value says it to people."""

    FACTS = "the owners' facts: order, shipments and returns, invoices and payments"
    STATE = "the whole synchronized state"
    ERP = "all that the ERP holds"
    ERP_FACTS = "what the ERP holds of the owners' facts; without versions, times and master data"
    LEDGER = "the ledger's balances of each order"
    LEDGER_FACTS = "the ledger's balances of each order in its own currency; without costs"
    OPEN_ITEMS = "money received and receivable of each order"


_TERMS: Mapping[frozenset[str], Terms] = {
    frozenset({SOURCE}): Terms.FACTS,
    frozenset({SOURCE, STATE}): Terms.FACTS,
    frozenset({SOURCE, ERP}): Terms.ERP_FACTS,
    frozenset({SOURCE, LEDGER}): Terms.LEDGER_FACTS,
    frozenset({STATE}): Terms.STATE,
    frozenset({STATE, ERP}): Terms.ERP,
    frozenset({STATE, LEDGER}): Terms.LEDGER,
    frozenset({ERP}): Terms.ERP,
    frozenset({ERP, LEDGER}): Terms.OPEN_ITEMS,
    frozenset({LEDGER}): Terms.LEDGER,
}


def terms_of(left: str, right: str) -> Terms:
    """The fullest terms in which two kinds of systems can be compared."""
    return _TERMS[frozenset({left, right})]


@dataclass(frozen=True, slots=True)
class Heading:
    """What an order's control totals are kept by; the period is the month of its date of issue, such as 2026-11."""

    period: str
    currency_code: str
    order_status: str
    payable_amount: Decimal


@dataclass(frozen=True, slots=True)
class OrderImage:
    """What one system says of one order; `heading` is None where it does not know the order's date and status."""

    attributes: Attributes
    heading: Heading | None = None
    unreadable: str | None = None
    """Why the system's own record cannot be understood; there are no attributes then."""


def image_of_facts(facts: OrderFacts, terms: Terms) -> OrderImage | None:
    """What the sources say."""
    if facts.unreadable:
        return OrderImage({}, None, "; ".join(f"{name.value}: {error}" for name, error in facts.unreadable.items()))
    order, fulfilment, settlement = _sections(facts)
    heading = None if order is None else _heading(order, order.order_status)
    if terms is Terms.ERP_FACTS:
        return _some(_without_idle_balances(erp.erp_of_facts(order, fulfilment, settlement)), heading)
    if terms is Terms.LEDGER_FACTS:
        return _some(attributes_of(balances_of(order, fulfilment, settlement)), heading)
    found: dict[str, str] = {}
    for section, said in facts.sections.items():
        attributes = model_attributes(said)
        attributes.pop("order_id", None)
        found |= {f"{section.value}.{path}": text for path, text in attributes.items()}
    return _some(found, heading)


def image_of_state(state: OrderState, terms: Terms) -> OrderImage | None:
    """What the synchronized state says, or what it makes of the ERP and the ledger."""
    heading = None if state.order is None else _heading(state.order, state.order_status)
    if terms is Terms.FACTS:
        # A deleted order is none any more in its source.
        return image_of_facts(facts_of(state), terms)
    images: Mapping[Terms, Callable[[OrderState], Attributes]] = {
        Terms.STATE: model_attributes,
        Terms.ERP: erp.expected_erp,
        Terms.LEDGER: expected_ledger,
    }
    return _some(images[terms](state), heading)


def image_of_erp(attributes: Attributes, terms: Terms) -> OrderImage | None:
    """What the ERP holds, or as much of it as the other system knows."""
    if terms is Terms.OPEN_ITEMS:
        return _some(_open_items(attributes), _erp_heading(attributes))
    if terms is Terms.ERP:
        return _some(attributes, _erp_heading(attributes))
    is_deleted = attributes.get("order_status") == DELETED
    known = {path: text for path, text in attributes.items() if _is_fact(path, is_deleted=is_deleted)}
    return _some(_without_idle_balances(known), None if is_deleted else _erp_heading(attributes))


def image_of_ledger(attributes: Attributes, terms: Terms) -> OrderImage | None:
    """The ledger's balances, or those that the other system knows."""
    wanted = _LEDGER_MEASURES.get(terms)
    if wanted is None:
        return _some(attributes, None)
    return _some({path: text for path, text in attributes.items() if path.partition("[")[0] in wanted}, None)


_LEDGER_MEASURES: Mapping[Terms, frozenset[str]] = {
    Terms.LEDGER_FACTS: frozenset(
        one.value for one in Measure if one not in (Measure.COST_OF_GOODS_SOLD, Measure.FUNCTIONAL_IMBALANCE)
    ),
    Terms.OPEN_ITEMS: frozenset({Measure.CASH.value, Measure.RECEIVABLE.value}),
}
_FACT_HEADER = frozenset({"order_status", *erp.ORDER_COLUMNS, *(f"delivery_{name}" for name in erp.ADDRESS_COLUMNS)})
_OF_PARTS = ("shipments[", "returns[", "invoices[", "payments[")


def _is_fact(path: str, *, is_deleted: bool) -> bool:
    """Whether the sources know this attribute of the ERP; of a deleted order they only know what hung on it."""
    if path in erp.BALANCES_COLUMNS or path.startswith(_OF_PARTS):
        return True
    if is_deleted:
        return False
    if path.startswith("lines["):
        return path.rpartition(".")[2] not in erp.LINE_MASTER_COLUMNS
    return path in _FACT_HEADER


def _open_items(attributes: Attributes) -> Attributes:
    """Source: S5; as the ledger states it: what was invoiced and not yet paid, never below nothing."""
    if "document_currency_code" not in attributes:
        return {}
    currency = attributes["document_currency_code"]
    invoiced, paid = (Decimal(attributes.get(name, "0")) for name in ("invoiced_amount", "paid_amount"))
    receivable = max(max(invoiced, _ZERO) - paid, _ZERO)
    return attributes_of({Balance(Measure.CASH, currency): paid, Balance(Measure.RECEIVABLE, currency): receivable})


def _erp_heading(attributes: Attributes) -> Heading | None:
    if "payable_amount" not in attributes:
        return None
    return Heading(
        attributes.get("issue_date", "")[:7],
        attributes.get("document_currency_code", ""),
        attributes.get("order_status", ""),
        Decimal(attributes["payable_amount"]),
    )


def _heading(order: SalesOrder, order_status: str) -> Heading:
    return Heading(text_of(order.issue_date)[:7], order.document_currency_code, order_status, order.payable_amount)


def _without_idle_balances(attributes: dict[str, str]) -> dict[str, str]:
    """An order of which only balances of nothing are left says nothing."""
    idle = all(path in erp.BALANCES_COLUMNS and text == "0" for path, text in attributes.items())
    return {} if idle else attributes


def _sections(facts: OrderFacts) -> tuple[SalesOrder | None, Fulfilment | None, Settlement | None]:
    order = facts.sections.get(Section.ORDER)
    fulfilment = facts.sections.get(Section.FULFILMENT)
    settlement = facts.sections.get(Section.SETTLEMENT)
    assert order is None or isinstance(order, SalesOrder)
    assert fulfilment is None or isinstance(fulfilment, Fulfilment)
    assert settlement is None or isinstance(settlement, Settlement)
    return order, fulfilment, settlement


def _some(attributes: Attributes, heading: Heading | None) -> OrderImage | None:
    return OrderImage(attributes, heading) if attributes else None
