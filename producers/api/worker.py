"""The worker: an HTTP server, the producer behind it, and the copy of the orders beside it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from prometheus_client import CollectorRegistry

from producers.api.access import REMEMBERED, Access
from producers.api.answering import AnswerIntake
from producers.api.app import asgi_app
from producers.api.clients import Clients
from producers.api.feed import OrderFeed
from producers.api.guard import BodyLimits
from producers.api.intake import Intake
from producers.api.metrics import ApiMetrics, Measured
from producers.api.orders import Orders
from producers.api.outlet import CLIENT_ID, Outlet, OutletOptions
from producers.api.partners import Partners
from producers.api.service import Service
from producers.api.settings import ApiSettings
from producers.api.shops import Shops
from producers.api.store import OrderStore
from producers.api.tokens import Tokens
from producers.auditing import AuditWriter
from producers.rejections import RejectionWriter
from producers.serving import HttpServer
from producers.sightings import Sightings
from producers.upload_spool import UploadSpool
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import OrderCaptured, OrderState
from schemas.topics import ORDER_STATE, ORDERS_CAPTURED

_LOOK_SECONDS = 0.05


class ApiWorker:
    """One process of the API; any number may listen on one port, and on several machines."""

    def __init__(self, settings: ApiSettings, schemas: SchemaIds, registry: CollectorRegistry) -> None:
        """Raises ConfigurationError for wrong settings, Transient while Kafka or the registry is away."""
        self._settings = settings
        rules = settings.token_rules
        partners = Partners(settings.signature_seconds)
        clients = Clients.read(settings.clients, None if rules is None else Tokens(rules), partners)
        self._outlet = Outlet(
            settings.kafka,
            OutletOptions(settings.linger_milliseconds, settings.delivery_timeout_seconds, settings.max_pending),
        )
        captured = TopicCodec(ORDERS_CAPTURED, OrderCaptured, schemas)
        states = TopicCodec(ORDER_STATE, OrderState, schemas)
        cluster = self._outlet.cluster_id()
        self._store = OrderStore(settings.data_dir / "api", cluster)
        self._orders = Orders(self._store, states)
        self._feed = self._orders.feed = OrderFeed(
            settings.kafka, schemas, self._store, settings.remembered_for, self._orders.hear
        )
        limits = BodyLimits(
            settings.body_limit_bytes,
            settings.bulk_limit_bytes,
            0 if settings.uploads_dir is None else settings.upload_limit_bytes,
        )
        intake = Intake(self._outlet, self._orders, captured)
        self._audit = AuditWriter(settings.kafka, schemas, CLIENT_ID)
        access = Access(Sightings(self._audit, most=REMEMBERED))
        self._service = Service(
            intake,
            self._orders,
            clients,
            limits,
            settings.bulk_limit_orders,
            settings.wait_limit_seconds,
            access,
            AnswerIntake(self._outlet, self._orders, schemas),
            Shops() if settings.shops is None else Shops.read(settings.shops),
            RejectionWriter(settings.kafka, schemas, settings.delivery_timeout_seconds),
            None if settings.uploads_dir is None else UploadSpool(settings.uploads_dir),
        )
        self._metrics = ApiMetrics(registry)
        self._server = HttpServer(settings, is_shared=True)

    def run(self, stop: threading.Event) -> None:
        """Follow the orders, then serve until `stop`, then finish what is in hand."""
        try:
            self._feed.start()
            while not stop.is_set() and not self._feed.is_caught_up:
                self._check()
                stop.wait(_LOOK_SECONDS)
            if not stop.is_set():
                with self._server:
                    uvloop_run(self._serve(stop))
        finally:
            self._outlet.close(self._settings.delivery_timeout_seconds)
            self._audit.close()
            self._feed.close()
            self._store.close()
        self._check()

    def ready(self) -> bool:
        """Whether it serves, and knows what there was when it began."""
        return self._server.port is not None and self._feed.is_caught_up and self._outlet.failure is None

    async def _serve(self, stop: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        self._outlet.start(loop)
        self._orders.start(loop)
        app = Measured(asgi_app(self._service), self._metrics)
        await self._server.serve(app, lambda: stop.is_set() or any(self._failures()))

    def _failures(self) -> tuple[Exception | None, ...]:
        return self._feed.failure, self._outlet.failure

    def _check(self) -> None:
        """Raise what the threads have ended with."""
        for failure in self._failures():
            if failure is not None:
                raise failure


def uvloop_run(main: Any) -> None:
    """Run in the quicker loop."""
    # Only here: it is an extra's library.
    import uvloop

    uvloop.run(main)
