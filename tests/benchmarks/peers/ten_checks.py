"""The work that each peer of the stream benchmark does: decode, ten checks, master data, the state's next version.

Written for the peers' own environments: it needs fastavro and nothing of ours. Amounts stay scaled integers and times
integers, which is the fastest that fastavro gives. `KafkaStreamsPeer.java` does the same.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

_SCHEMAS = Path(__file__).parents[3] / "schemas" / "avsc"
_HEADER_LENGTH = 5
# Records are dictionaries here, whatever they hold.
_decoded: Any = fastavro.schemaless_reader
CURRENCIES = frozenset(
    {
        "AUD",
        "BRL",
        "CAD",
        "CHF",
        "CNY",
        "CZK",
        "DKK",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "INR",
        "JPY",
        "KRW",
        "MXN",
        "NOK",
        "NZD",
        "PLN",
        "SEK",
        "SGD",
        "USD",
        "ZAR",
    }
)
STATUSES = frozenset({"placed", "confirmed", "completed", "cancelled"})
# Scales on the wire: quantities and prices 6 digits, amounts 4.
_LINE_DIVISOR = 10**8


class Refused(Exception):
    """An order that a check refuses; the message is the check's name."""


def _plain(schema: Any) -> Any:
    """The schema without its logical types."""
    if isinstance(schema, dict):
        return {name: _plain(value) for name, value in schema.items() if name != "logicalType"}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema


def _read(topic: str) -> Any:
    return _plain(json.loads((_SCHEMAS / f"{topic}.avsc").read_text()))


_CAPTURED_FIELDS = _read("orders.captured")["fields"]
# The order is the event's last field: read by itself, its bytes are known and need not be encoded again.
_EVENT = fastavro.parse_schema({"type": "record", "name": "bench.Event", "fields": _CAPTURED_FIELDS[:-1]})
_ORDER = fastavro.parse_schema(_CAPTURED_FIELDS[-1]["type"][1])
_MASTER = {topic: fastavro.parse_schema(_read(topic)) for topic in ("master.customers", "master.products")}
_STATE = fastavro.parse_schema(
    {
        "type": "record",
        "name": "bench.StateWithoutOrder",
        "fields": [
            {"name": "order_id", "type": "string"},
            {"name": "version", "type": "long"},
            {"name": "order_status", "type": "string"},
            {"name": "committed_at", "type": "long"},
            {"name": "event_id", "type": "string"},
            {"name": "customer_name", "type": "string"},
            {"name": "customer_segment", "type": ["null", "string"]},
            {"name": "product_names", "type": {"type": "array", "items": "string"}},
            {"name": "standard_costs", "type": {"type": "array", "items": "bytes"}},
        ],
    }
)


def master_record(topic: str, message: bytes) -> dict[str, Any]:
    """A record of `master.customers` or `master.products`."""
    return _decoded(BytesIO(message[_HEADER_LENGTH:]), _MASTER[topic], None)  # type: ignore[no-any-return]


class Work:
    """One worker's work; `customers` and `products` hold master records by their keys."""

    def __init__(self, customers: dict[str, dict[str, Any]], products: dict[str, dict[str, Any]]) -> None:
        self._customers = customers
        self._products = products

    def next_state(self, key: bytes, message: bytes, before: bytes | None) -> bytes:
        """The order's next state, encoded. Raises Refused."""
        body = BytesIO(message)
        body.seek(_HEADER_LENGTH)
        event = _decoded(body, _EVENT, None)
        # One byte says that there is an order: a deleted one is refused like an unknown status.
        if body.read(1) == b"\0":
            raise Refused("status")
        begin = body.tell()
        order = _decoded(body, _ORDER, None)
        if event["order_id"].encode() != key:
            raise Refused("key")
        customer = self._customers.get(order["buyer_customer_party_id"])
        products = [self._products.get(line["product_id"]) for line in order["order_lines"]]
        _check(order)
        if customer is None or customer["is_blocked"]:
            raise Refused("customer")
        known = [product for product in products if product is not None and not product["is_discontinued"]]
        if len(known) < len(products):
            raise Refused("product")
        version = 1
        if before is not None:
            version += _decoded(BytesIO(before), _STATE, None)["version"]
        written = BytesIO()
        state = {
            "order_id": event["order_id"],
            "version": version,
            "order_status": order["order_status"],
            "committed_at": event["committed_at"],
            "event_id": event["event_id"],
            "customer_name": customer["name"],
            "customer_segment": customer["segment"],
            "product_names": [product["name"] for product in known],
            "standard_costs": [product["standard_cost_amount"] or b"\0" for product in known],
        }
        fastavro.schemaless_writer(written, _STATE, state)
        written.write(message[begin:])
        return written.getvalue()


def _check(order: dict[str, Any]) -> None:
    lines = order["order_lines"]
    if order["document_currency_code"] not in CURRENCIES:
        raise Refused("currency")
    if order["order_status"] not in STATUSES:
        raise Refused("status")
    if not lines:
        raise Refused("lines")
    net = tax = 0
    for line in lines:
        quantity, price = _integer(line["quantity"]), _integer(line["price_amount"])
        extension, allowance = _integer(line["line_extension_amount"]), _integer(line["allowance_total_amount"])
        if quantity <= 0 or price < 0:
            raise Refused("quantity")
        if abs(quantity * price - (extension + allowance) * _LINE_DIVISOR) > _LINE_DIVISOR * 50:
            raise Refused("line amount")
        net += extension
        tax += _integer(line["tax_amount"])
    if net != _integer(order["line_extension_amount"]):
        raise Refused("line total")
    if tax != _integer(order["tax_amount"]):
        raise Refused("tax total")
    exclusive = _integer(order["tax_exclusive_amount"])
    if exclusive != net + _integer(order["charge_total_amount"]):
        raise Refused("exclusive total")
    if exclusive + tax != _integer(order["payable_amount"]):
        raise Refused("payable total")


def _integer(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)
