"""Proves that sources, synchronized state, ERP and ledger agree, and names each order where they do not."""

from consumers.reconcile.publication import Publication, publish
from consumers.reconcile.reconciliation import reconcile
from consumers.reconcile.report import Report
from consumers.reconcile.settings import ReconcileSettings, SourceSettings

__all__ = ["Publication", "ReconcileSettings", "Report", "SourceSettings", "publish", "reconcile"]
