"""Settings of a documents worker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from producers.documents.limits import Limits
from schemas.settings import WorkerSettings


class DocumentsSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of `ordersync worker documents`."""

    sources: Path = Field(description="TOML file of the sources")
    documents_dir: Path = Field(description="Directory of originals, register and review queue; keep and back it up")
    uploads_dir: Path | None = Field(None, description="Directory by which the API hands over what clients send")
    uploads_told_days: float = Field(
        90.0, gt=0, description="How long clients may ask what became of a document, after nothing of it can change"
    )
    limits: Limits = Limits()
    poll_seconds: float = Field(1.0, gt=0, description="How often folders and the review queue are looked at")
    imap_poll_seconds: float = Field(30.0, gt=0, description="How often mailboxes are looked at")
    settle_seconds: float = Field(1.0, ge=0, description="How long a file must not have changed before it is taken")
    delivery_timeout_seconds: float = Field(10.0, gt=0, description="How long Kafka has to take an order")
    idempotency_hours: float = Field(48.0, gt=0, le=672, description="How long requests are remembered in memory")

    @property
    def remembered_for(self) -> timedelta:
        """How long a request is known without its record."""
        return timedelta(hours=self.idempotency_hours)
