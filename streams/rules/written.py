"""Rules that are written as conditions in a governance file instead of as functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from string import Formatter
from typing import Any

from schemas.attributes import CanonicalModel
from schemas.codec.fastpath.slots import slots_of
from schemas.conditions import compile_judgement
from schemas.errors import ConfigurationError
from schemas.models import Customer, FxRate, OrderCaptured, OrderLine, Product, SalesOrder
from streams.rules.catalogue import Check, Finding, Parameters
from streams.rules.facts import Candidate
from streams.rules.quantities import as_text
from streams.rules.screening import ITEMS, RECORDS, check_fit, conditions_of, vocabulary

_MODELS: Mapping[str, type[CanonicalModel]] = {
    "event": OrderCaptured,
    "order": SalesOrder,
    "line": OrderLine,
    "customer": Customer,
    "product": Product,
    "rate": FxRate,
}


def written_check(must: str, message: str, field: str | None, where: str) -> Check:
    """The check of a rule that demands `must`, with a message that may quote attributes as in `{line.quantity}`.

    Raises:
        ConfigurationError: condition or message are not as they must be; names `where`.
    """
    conditions = conditions_of(must, Parameters({}), where)
    try:
        check_fit(conditions)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{where}: {exc}") from exc
    names = frozenset().union(*(condition.names for condition in conditions))
    quoted = _quoted(message, where)
    if not names & set(ITEMS) and any(path.partition(".")[0] in ITEMS for path in quoted):
        raise ConfigurationError(f"{where}: the message quotes a line, and the condition speaks of none")
    judged = compile_judgement(conditions, RECORDS, ITEMS, vocabulary())

    def check(candidate: Candidate, _: Parameters) -> Iterator[Finding]:
        order = candidate.order
        # What the order waits for is looked at when it has come.
        if order is None or candidate.is_deleted or _is_missing(names, candidate):
            return
        known = {product.product_id: product for product in candidate.products}
        lines, products = order.order_lines, [known.get(line.product_id) for line in order.order_lines]
        records = {"event": candidate.event, "order": order, "customer": candidate.customer, "rate": candidate.rate}
        previous, fulfilment, settlement = candidate.previous, candidate.fulfilment, candidate.settlement
        once, each = judged(
            candidate.event,
            order,
            lines,
            candidate.customer,
            products,
            candidate.rate,
            previous,
            fulfilment,
            settlement,
        )
        if not once:
            yield Finding(_text(message, quoted, records), field)
        for line, product, holds in zip(lines, products, each, strict=True):
            if not holds:
                yield Finding(_text(message, quoted, records | {"line": line, "product": product}), field)

    return check


def _is_missing(names: frozenset[str], candidate: Candidate) -> bool:
    known = {product.product_id for product in candidate.products}
    ordered = {line.product_id for line in candidate.order.order_lines} if candidate.order is not None else set()
    return (
        ("customer" in names and candidate.customer is None)
        or ("rate" in names and candidate.exchange_rate is None)
        or ("product" in names and not ordered <= known)
    )


def _quoted(message: str, where: str) -> list[str]:
    try:
        parts = list(Formatter().parse(message))
    except ValueError as exc:
        raise ConfigurationError(f"{where}: message {message!r}: {exc}") from exc
    paths = []
    for _, path, form, conversion in parts:
        if path is None:
            continue
        root, _, rest = path.partition(".")
        if root not in _MODELS or rest not in slots_of(_MODELS[root]) or form or conversion:
            raise ConfigurationError(
                f"{where}: message: {{{path}}} is no attribute; quote as in {{line.quantity}}, of {', '.join(_MODELS)}"
            )
        paths.append(path)
    return paths


def _text(message: str, quoted: list[str], records: Mapping[str, Any]) -> str:
    for path in quoted:
        message = message.replace(f"{{{path}}}", _shown(path, records))
    return message


def _shown(path: str, records: Mapping[str, Any]) -> str:
    root, _, rest = path.partition(".")
    value = records.get(root)
    for name in rest.split("."):
        value = getattr(value, name, None)
    if value is None:
        return "nothing"
    if isinstance(value, Decimal):
        return as_text(value)
    return value.isoformat() if isinstance(value, date) else str(value)
