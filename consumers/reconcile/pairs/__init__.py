"""Compares any two systems, or restored copies of them, at a cut-over: each difference, and control totals."""

from consumers.reconcile.pairs.pairing import compare_pair
from consumers.reconcile.pairs.result import ControlTotal, Difference, PairReport
from consumers.reconcile.pairs.sides import ErpSide, LedgerSide, Side, SourceSide, StateSide

__all__ = [
    "ControlTotal",
    "Difference",
    "ErpSide",
    "LedgerSide",
    "PairReport",
    "Side",
    "SourceSide",
    "StateSide",
    "compare_pair",
]
