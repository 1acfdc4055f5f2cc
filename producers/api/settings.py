"""Settings of an API worker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from producers.api.tokens import TokenRules
from schemas.settings import WorkerSettings


class ApiSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of `ordersync worker api`."""

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container")
    port: int = Field(8080, ge=0, lt=65536, description="Port; several workers may share one, 0 takes a free one")
    clients: Path = Field(description="TOML file of who may do what, with the hashes of their keys")
    shops: Path | None = Field(None, description="TOML file of the shops whose webhooks are taken; none without")
    token_issuer: str | None = Field(None, description="Issuer of bearer tokens (OpenID Connect); none without")
    token_audience: str = Field("ordersync", description="For whom its tokens have to be made out")
    token_keys: Path | None = Field(None, description="JWKS file of the issuer's public keys, read when it changes")
    signature_seconds: float = Field(300.0, gt=0, le=3600, description="How old the signature of a request may be")
    tls_certificate: Path | None = Field(None, description="PEM file of the certificate chain; plain HTTP without")
    tls_key: Path | None = Field(None, description="PEM file of its private key")
    body_limit_bytes: int = Field(262_144, gt=0, le=524_288, description="Longest body of one order")
    bulk_limit_bytes: int = Field(16 * 1024 * 1024, gt=0, description="Longest body of many orders")
    bulk_limit_orders: int = Field(10_000, gt=0, description="Most orders of one body")
    uploads_dir: Path | None = Field(
        None, description="Directory shared with the documents worker; documents are not taken without"
    )
    upload_limit_bytes: int = Field(
        20 * 1024 * 1024, gt=0, description="Longest document; as ORDERSYNC_LIMITS__DOCUMENT_BYTES of that worker"
    )
    wait_limit_seconds: float = Field(30.0, gt=0, description="Longest wait for the effect of a request")
    delivery_timeout_seconds: float = Field(10.0, gt=0, description="How long Kafka has to take an order")
    linger_milliseconds: float = Field(2.0, ge=0, description="How long the producer waits to fill a batch")
    max_pending: int = Field(20_000, gt=0, description="Orders that may wait for Kafka before others are turned away")
    idempotency_hours: float = Field(48.0, gt=0, le=672, description="How long an idempotency key is remembered")
    stop_seconds: float = Field(10.0, gt=0, description="How long requests in hand have when the worker stops")

    @property
    def remembered_for(self) -> timedelta:
        """How long a request is known."""
        return timedelta(hours=self.idempotency_hours)

    @property
    def token_rules(self) -> TokenRules | None:
        """Whose tokens are taken."""
        if self.token_issuer is None or self.token_keys is None:
            return None
        return TokenRules(self.token_issuer, self.token_audience, self.token_keys)

    @model_validator(mode="after")
    def _both_halves(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if (self.token_issuer is None) != (self.token_keys is None):
            raise ValueError("token_issuer and token_keys belong together")
        return self
