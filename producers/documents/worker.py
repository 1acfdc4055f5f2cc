"""The worker: looks at its sources, has every document dealt with, and takes what people have accepted."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge

from producers.api.answering import AnswerIntake
from producers.api.feed import OrderFeed
from producers.api.intake import Intake
from producers.api.orders import Orders
from producers.api.outlet import Outlet, OutletOptions
from producers.api.store import OrderStore
from producers.documents.desk import ApiDesk, ApiVendorDesk
from producers.documents.folder import WatchedFolder
from producers.documents.imap import Mailbox
from producers.documents.letters import LetterWriter
from producers.documents.likeness.suggestions import Suggestions
from producers.documents.master_feed import MasterFeed
from producers.documents.masters import Masters
from producers.documents.originals import Originals
from producers.documents.processing import Delivered, Places, Processing
from producers.documents.register import Register
from producers.documents.settings import DocumentsSettings
from producers.documents.source import Source, load
from producers.documents.uploads import Uploads
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Transient
from schemas.models import OrderCaptured, OrderState
from schemas.topics import ORDER_STATE, ORDERS_CAPTURED

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.05
_REMEMBERED_PENDING = 20_000


class DocumentsWorker:
    """One process for all sources of its file."""

    def __init__(self, settings: DocumentsSettings, schemas: SchemaIds, registry: CollectorRegistry) -> None:
        """Raises ConfigurationError for wrong settings, Transient while Kafka or the registry is away."""
        self._settings = settings
        self._sources = load(settings.sources)
        self._register = Register(settings.documents_dir / "register.sqlite")
        self._outlet = Outlet(
            settings.kafka, OutletOptions(2.0, settings.delivery_timeout_seconds, _REMEMBERED_PENDING)
        )
        self._store = OrderStore(settings.data_dir / "documents", self._outlet.cluster_id())
        self._orders = Orders(self._store, TopicCodec(ORDER_STATE, OrderState, schemas))
        remembered = settings.remembered_for
        self._feed = self._orders.feed = OrderFeed(settings.kafka, schemas, self._store, remembered, self._orders.hear)
        masters = Masters()
        self._masters = MasterFeed(settings.kafka, schemas, masters)
        intake = Intake(self._outlet, self._orders, TopicCodec(ORDERS_CAPTURED, OrderCaptured, schemas))
        self._documents = Counter(
            "ordersync_documents_total",
            "Orders in documents by source and outcome",
            ("source", "outcome"),
            registry=registry,
        )
        self._waiting = Gauge("ordersync_documents_reviews_waiting", "Orders that wait for a person", registry=registry)
        places = Places(
            Originals(settings.documents_dir / "originals"),
            self._register,
            masters,
            settings.limits,
            ApiDesk(intake, self._orders),
            LetterWriter(settings.kafka, schemas, settings.delivery_timeout_seconds),
            lambda source, outcome: self._documents.labels(source, outcome).inc(),
            ApiVendorDesk(AnswerIntake(self._outlet, self._orders, schemas)),
            Suggestions(settings.documents_dir),
        )
        self._processing = {name: Processing(source, places) for name, source in self._sources.items()}
        self._folders = {
            name: WatchedFolder(source.path, settings.settle_seconds, settings.limits)
            for name, source in self._sources.items()
            if source.path is not None and source.kind != "imap"
        }
        self._uploads = (
            None
            if settings.uploads_dir is None
            else Uploads(
                settings.uploads_dir, self._sources, self._register, timedelta(days=settings.uploads_told_days)
            )
        )
        self._looked_at: dict[str, float] = {}

    def run(self, stop: threading.Event) -> None:
        """Catch up, then look at the sources until `stop`; a document in hand is finished."""
        try:
            self._feed.start()
            self._masters.start()
            while not stop.is_set() and not self._is_caught_up():
                self._check()
                stop.wait(_LOOK_SECONDS)
            if not stop.is_set():
                asyncio.run(self._work(stop))
        finally:
            self._outlet.close(self._settings.delivery_timeout_seconds)
            self._masters.close()
            self._feed.close()
            self._store.close()
            self._register.close()
        self._check()

    def ready(self) -> bool:
        """Whether it works, and knows orders and master data."""
        return self._is_caught_up() and self._outlet.failure is None

    def _is_caught_up(self) -> bool:
        return self._feed.is_caught_up and self._masters.is_caught_up

    async def _work(self, stop: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        self._outlet.start(loop)
        self._orders.start(loop)
        while not stop.is_set():
            self._check()
            seconds = self._settings.poll_seconds
            try:
                await self._settle()
                if self._uploads is not None:
                    await self._uploads.take(self._processing, stop)
                for source in self._sources.values():
                    if not stop.is_set():
                        await self._look_at(source, stop)
            except Transient as exc:
                _log.warning("%s; trying again", exc)
                seconds = max(seconds, exc.retry_after_seconds)
            await asyncio.to_thread(stop.wait, seconds)

    async def _settle(self) -> None:
        for review in self._register.reviews("accepted"):
            processing = self._processing.get(review.source)
            if processing is None:
                _log.warning("review %s: there is no source %s any more", review.id, review.source)
            else:
                await processing.settle(review)
        self._waiting.set(self._register.waiting())

    async def _look_at(self, source: Source, stop: threading.Event) -> None:
        if source.kind == "imap":
            if monotonic() - self._looked_at.get(source.name, float("-inf")) >= self._settings.imap_poll_seconds:
                await self._mailbox(source, stop)
                self._looked_at[source.name] = monotonic()
            return
        folder = self._folders.get(source.name)
        if folder is None:
            return
        for path in await asyncio.to_thread(lambda: list(folder.waiting())):
            if stop.is_set():
                return
            content = await asyncio.to_thread(folder.content, path)
            await self._take(source, Delivered(content, path.name))
            await asyncio.to_thread(folder.put_aside, path)

    async def _mailbox(self, source: Source, stop: threading.Event) -> None:
        assert source.imap is not None
        with Mailbox(source.imap) as mailbox:
            waiting = mailbox.waiting(self._settings.limits.document_bytes)
            while not stop.is_set():
                found = await asyncio.to_thread(next, waiting, None)
                if found is None:
                    return
                uid, content = found
                if content is None:
                    _log.warning("%s: e-mail %s is longer than allowed and stays where it is", source.name, uid)
                    continue
                await self._take(source, Delivered(content, f"{uid}.eml"))
                await asyncio.to_thread(mailbox.put_aside, uid)

    async def _take(self, source: Source, delivered: Delivered) -> None:
        document_id = await self._processing[source.name].take(delivered)
        _log.info("%s: %s is decided (%s)", source.name, delivered.name, document_id[:12])

    def _check(self) -> None:
        """Raise what the threads have ended with."""
        for failure in (self._feed.failure, self._masters.failure, self._outlet.failure):
            if failure is not None:
                raise failure
