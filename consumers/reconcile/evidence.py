"""What the content of an order says of the cause of its differences. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumers.reconcile.causes import Evidence
from consumers.reconcile.comparison import OrderContent
from schemas.models import OrderState


def evidence_of(
    content: OrderContent,
    notes: Mapping[str, Sequence[str]] | None = None,
    behind: frozenset[str] = frozenset(),
) -> Evidence:
    """The evidence of one order; notes and lag where somebody keeps them."""
    version = content.state.version if isinstance(content.state, OrderState) else None
    return Evidence(version, content.erp, dict(notes or {}), behind)
