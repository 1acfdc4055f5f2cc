"""A difference between two systems about one order, named so that it can be mended."""

from __future__ import annotations

from schemas.attributes import Amount, CanonicalModel, Instant, OrderId, attribute


class Mismatch(CanonicalModel, classification="confidential"):
    """One differing field of one order (topic `orders.mismatches`, compacted; a tombstone when healed)."""

    mismatch_id: str = attribute("order_id/system/field: the key")
    order_id: OrderId = attribute("The order")
    system: str = attribute("The system that differs from the reference: state, erp, ledger ...")
    reference: str = attribute("The system that it is compared with")
    kind: str = attribute("missing, extra, different, or invariant: a rule that holds between systems is broken")
    field: str | None = attribute("Path of the differing field, or name of the broken invariant", default=None)
    expected: str | None = attribute("Value in the reference", default=None)
    actual: str | None = attribute("Value in the system", default=None)
    amount: Amount | None = attribute("Money at stake", default=None, unit="currency_code")
    currency_code: str | None = attribute("ISO 4217 code of the amount", default=None)
    detected_at: Instant = attribute("When the difference was found", unit="UTC")
    cause: str = attribute(
        "Probable cause: lag, manual_change, rejected_event, missing_master_data, lost_event or unknown",
        default="unknown",
    )
    explanation: str | None = attribute("What speaks for that cause, for people", default=None)
    remedy: str | None = attribute(
        "How it is mended: reread (the source states the order again), restore (the system is written anew from its "
        "owner's facts), mend (the dead letter), wait (for what it awaits), or none by itself",
        default=None,
    )
