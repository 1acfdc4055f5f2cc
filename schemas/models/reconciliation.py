"""A difference between two systems about one order, named so that it can be mended."""

from __future__ import annotations

from schemas.attributes import Amount, CanonicalModel, Instant, OrderId, attribute


class Mismatch(CanonicalModel, classification="confidential"):
    """One differing field of one order (topic `orders.mismatches`, compacted; a tombstone when healed)."""

    mismatch_id: str = attribute("order_id/system/field: the key")
    order_id: OrderId = attribute("The order")
    system: str = attribute("The system that differs from the reference: state, erp, ledger ...")
    reference: str = attribute("The system that it is compared with")
    kind: str = attribute("missing, extra or different")
    field: str | None = attribute("Path of the differing field", default=None)
    expected: str | None = attribute("Value in the reference", default=None)
    actual: str | None = attribute("Value in the system", default=None)
    amount: Amount | None = attribute("Money at stake", default=None, unit="currency_code")
    currency_code: str | None = attribute("ISO 4217 code of the amount", default=None)
    detected_at: Instant = attribute("When the difference was found", unit="UTC")
