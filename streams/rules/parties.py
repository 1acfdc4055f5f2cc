"""Rules about who orders and who receives: identifiers, references, limits, sanctions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from stdnum import get_cc_module
from stdnum.exceptions import ValidationError

from schemas.models import Customer
from streams.rules.catalogue import Finding, Parameter, Parameters, RuleDeclarations, Severity
from streams.rules.codes import country_codes
from streams.rules.facts import Candidate, Section
from streams.rules.vocabulary import EU_COUNTRIES

DECLARED = RuleDeclarations()
rule = DECLARED.rule

_VAT_PREFIXES = {"EL": "GR", "XI": "GB"}
"""Prefixes of tax numbers that are not their country's code (Directive 2006/112/EC art. 215)."""
_NO_CONTENT = frozenset({""})


@rule(
    "customer.blocked",
    Section.ORDER,
    source="I3",
    owner="finance",
    plain="previous is not None or not customer.is_blocked",
)
def customer_blocked(candidate: Candidate) -> Iterator[Finding]:
    """A blocked customer places no new orders; orders that exist may still change."""
    if candidate.previous is None and candidate.customer is not None and candidate.customer.is_blocked:
        yield Finding(
            f"customer {candidate.customer.customer_id} is blocked; unblock it or cancel the order",
            "buyer_customer_party_id",
        )


@rule(
    "customer.name_present",
    Section.ORDER,
    source="I3, EN 16931 BR-07",
    owner="crm",
    severity=Severity.WARNING,
    plain="customer.name != ''",
)
def name_present(candidate: Candidate) -> Iterator[Finding]:
    """The customer has a name."""
    if candidate.customer is not None and not candidate.customer.name:
        yield Finding(f"customer {candidate.customer.customer_id} has no name", "buyer_customer_party_id")


@rule(
    "customer.country_code",
    Section.ORDER,
    source="I2, ISO 3166-1, EN 16931 BR-CL-14",
    owner="crm",
    severity=Severity.WARNING,
    plain="customer.country_code is None or customer.country_code in COUNTRIES",
)
def customer_country(candidate: Candidate) -> Iterator[Finding]:
    """The customer's country is an ISO 3166-1 alpha-2 code."""
    customer = candidate.customer
    if customer is not None and customer.country_code is not None and customer.country_code not in country_codes():
        yield Finding(
            f"customer {customer.customer_id}: {customer.country_code!r} is no ISO 3166-1 alpha-2 code",
            "buyer_customer_party_id",
        )


def _clear_of_tax_id(customer: Customer) -> bool:
    return not customer.tax_id or is_tax_number(customer.tax_id, customer.country_code)


@rule(
    "customer.tax_id",
    Section.ORDER,
    source="I3, Directive 2006/112/EC art. 215, national rules as python-stdnum knows them",
    owner="finance",
    severity=Severity.WARNING,
    clears_customer=lambda customer, _: _clear_of_tax_id(customer),
)
def tax_id(candidate: Candidate) -> Iterator[Finding]:
    """The customer's tax number has the form and check digits of its country, where these are known."""
    customer = candidate.customer
    if customer is not None and not _clear_of_tax_id(customer):
        yield Finding(
            f"customer {customer.customer_id} has a tax number that is none of {customer.country_code}",
            "buyer_customer_party_id",
        )


def _clear_of_foreign_tax_id(customer: Customer) -> bool:
    country, prefix = customer.country_code, (customer.tax_id or "")[:2].upper()
    owner = _VAT_PREFIXES.get(prefix, prefix)
    return country is None or owner == country or owner not in EU_COUNTRIES


@rule(
    "customer.tax_id_country",
    Section.ORDER,
    source="I3, Directive 2006/112/EC art. 215, EN 16931 BR-CO-09",
    owner="finance",
    severity=Severity.WARNING,
    clears_customer=lambda customer, _: _clear_of_foreign_tax_id(customer),
)
def tax_id_country(candidate: Candidate) -> Iterator[Finding]:
    """A tax number with the prefix of a member state belongs to a customer of that state."""
    customer = candidate.customer
    if customer is not None and not _clear_of_foreign_tax_id(customer):
        yield Finding(
            f"customer {customer.customer_id} of {customer.country_code} has a tax number of another state",
            "buyer_customer_party_id",
        )


def _clear_of_sanctions(customer: Customer, parameters: Parameters) -> bool:
    listed = parameters.texts("names")
    return not listed or not (listing_keys(customer.name) | {customer.customer_id}) & _listed_keys(listed)


@rule(
    "customer.sanctioned",
    Section.ORDER,
    source="I3, Regulation (EC) 2580/2001, Regulation (EU) 269/2014",
    owner="finance",
    parameters={
        "names": Parameter(
            frozenset({"SPECIMEN SANCTIONED PARTY"}), "Names or customer numbers that are listed; usually from a file"
        )
    },
    clears_customer=_clear_of_sanctions,
)
def sanctioned(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """No orders are taken from parties on a sanctions list, however their name is written."""
    customer = candidate.customer
    if customer is not None and not _clear_of_sanctions(customer, parameters):
        yield Finding(
            f"customer {customer.customer_id} is on the sanctions list; ask the compliance officer",
            "buyer_customer_party_id",
        )


@rule(
    "delivery.embargo",
    Section.ORDER,
    source="I3, UN Security Council resolution 2397 (2017)",
    owner="finance",
    parameters={"countries": Parameter(frozenset({"KP"}), "Countries that nothing is delivered to")},
    plain=(
        "(order.delivery_address is None or order.delivery_address.country_code is None"
        " or order.delivery_address.country_code not in COUNTRIES)"
        " and (customer.country_code is None or customer.country_code not in COUNTRIES)"
    ),
)
def embargo(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """Nothing is sold or delivered to a country under embargo."""
    order, customer, countries = candidate.order, candidate.customer, parameters.texts("countries")
    address = order.delivery_address if order is not None else None
    if address is not None and address.country_code in countries:
        yield Finding(f"delivery to {address.country_code} is under embargo", "delivery_address.country_code")
    if customer is not None and customer.country_code in countries:
        yield Finding(
            f"customer {customer.customer_id} is in {customer.country_code}, which is under embargo",
            "buyer_customer_party_id",
        )


@rule(
    "delivery.country_present",
    Section.ORDER,
    source="I3, EN 16931 BR-57",
    owner="crm",
    severity=Severity.WARNING,
    plain=(
        "order.delivery_address is None or order.delivery_address.country_code is not None"
        " and order.delivery_address.country_code != ''"
    ),
)
def country_present(candidate: Candidate) -> Iterator[Finding]:
    """An address of delivery has a country."""
    address = candidate.order.delivery_address if candidate.order is not None else None
    if address is not None and not address.country_code:
        yield Finding("the address of delivery has no country", "delivery_address.country_code")


@rule(
    "customer.currency",
    Section.ORDER,
    source="I3, S6",
    owner="finance",
    severity=Severity.WARNING,
    plain="customer.currency_code is None or customer.currency_code == order.document_currency_code",
)
def customer_currency(candidate: Candidate) -> Iterator[Finding]:
    """Orders are in the customer's usual currency."""
    customer, order = candidate.customer, candidate.order
    if customer is None or order is None or customer.currency_code is None:
        return
    if customer.currency_code != order.document_currency_code:
        yield Finding(
            f"in {order.document_currency_code}; customer {customer.customer_id} usually buys in "
            f"{customer.currency_code}",
            "document_currency_code",
        )


@rule(
    "customer.credit_limit",
    Section.ORDER,
    source="I3",
    owner="finance",
    severity=Severity.WARNING,
    plain=(
        "customer.credit_limit_amount is None or customer.currency_code is None"
        " or customer.currency_code != order.document_currency_code"
        " or order.payable_amount <= customer.credit_limit_amount"
    ),
)
def credit_limit(candidate: Candidate) -> Iterator[Finding]:
    """An order is not more than its customer's credit limit, where both are in one currency."""
    customer, order = candidate.customer, candidate.order
    if customer is None or order is None or customer.credit_limit_amount is None:
        return
    same = customer.currency_code == order.document_currency_code
    if same and order.payable_amount > customer.credit_limit_amount:
        yield Finding(
            f"{order.payable_amount} is more than the credit limit of {customer.credit_limit_amount} of customer "
            f"{customer.customer_id}",
            "payable_amount",
        )


@rule(
    "customer.reference_required",
    Section.ORDER,
    source="I3, PEPPOL-EN16931-R003",
    owner="crm",
    severity=Severity.WARNING,
    parameters={"segments": Parameter(frozenset({"public"}), "Segments whose orders carry the buyer's own number")},
    plain=(
        "customer.segment is None or customer.segment not in SEGMENTS"
        " or order.customer_reference is not None and order.customer_reference != ''"
    ),
)
def reference_required(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """Public buyers name their own order number."""
    customer, order = candidate.customer, candidate.order
    if customer is None or order is None or customer.segment not in parameters.texts("segments"):
        return
    if not order.customer_reference:
        yield Finding(f"customer {customer.customer_id} names no order number of its own", "customer_reference")


@rule(
    "order.reference_length",
    Section.ORDER,
    source="I2, UN/EDIFACT 1154 an..70",
    owner="crm",
    severity=Severity.WARNING,
    plain="order.customer_reference is None or matches(order.customer_reference, '[ -~]{0,70}')",
)
def reference_length(candidate: Candidate) -> Iterator[Finding]:
    """The buyer's order number has at most 70 characters, so that every partner can carry it."""
    order = candidate.order
    if order is not None and len(order.customer_reference or "") > 70:
        yield Finding(f"the reference has {len(order.customer_reference or '')} characters", "customer_reference")


@lru_cache(maxsize=4096)
def is_tax_number(number: str, country: str | None) -> bool:
    """Whether `number` is a tax number of `country`; True where nothing is known about numbers of that country."""
    prefix = number[:2].upper()
    owner = _VAT_PREFIXES.get(prefix, prefix)
    if country is None or (owner != country and owner in EU_COUNTRIES):
        country = owner if owner in EU_COUNTRIES else country
    modules = (
        [] if country not in country_codes() else [get_cc_module(str(country).lower(), name) for name in ("vat", "tin")]
    )
    known = [module for module in modules if module is not None]
    if not known:
        return True
    for module in known:
        try:
            module.validate(number)
        except ValidationError:
            continue
        return True
    return False


@lru_cache(maxsize=65_536)
def listing_keys(name: str) -> frozenset[str]:
    """How a name is compared with a list: without accents, case, marks and legal forms, words in any order."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().upper()
    words = [word for word in re.findall(r"[A-Z0-9]+", plain) if word not in _LEGAL_FORMS]
    return frozenset({" ".join(sorted(words))}) - _NO_CONTENT


_LEGAL_FORMS = frozenset({"GMBH", "AG", "KG", "LTD", "LIMITED", "LLC", "INC", "SA", "SARL", "SRL", "BV", "OOO", "CO"})


@lru_cache(maxsize=16)
def _listed_keys(listed: frozenset[str]) -> frozenset[str]:
    return listed.union(*(listing_keys(name) for name in listed))
