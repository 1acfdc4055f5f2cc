"""The worker: an HTTP server, the index beside it, and what samples the flow."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.audit.desk import ApprovalDesk
from deploy.audit.policy import ApprovalPolicy
from deploy.commands.options import Cluster
from deploy.console.flow.sampling import FlowSampler
from deploy.console.index.following import CLIENT_ID, IndexFeed
from deploy.console.index.questions import Questions
from deploy.console.index.store import IndexStore
from deploy.console.people.sessions import Lifetimes, Sessions
from deploy.console.people.throttle import SignInThrottle
from deploy.console.people.users import Users
from deploy.console.reviews import ReviewDesk
from deploy.console.settings import ConsoleSettings
from deploy.console.web.app import console_app
from deploy.console.web.service import Service
from deploy.console.weeks import WeeksDesk
from producers.auditing import AuditWriter
from producers.serving import HttpServer
from producers.sightings import Sightings
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError, Transient
from streams.rules.governance import rules_of

if TYPE_CHECKING:
    from deploy.console.archive import ArchiveView

_ANSWER_SECONDS = 15.0


class ConsoleWorker:
    """One process of the console. It serves from its first moment on, and says how far its index is."""

    def __init__(self, settings: ConsoleSettings, schemas: SchemaIds) -> None:
        """Raises ConfigurationError for wrong settings, Transient while Kafka or the registry is away."""
        self._settings = settings
        rules = rules_of(settings.rules_file)
        path = settings.approval_policy
        policy = ApprovalPolicy() if path is None else ApprovalPolicy.load(path)
        cluster = Cluster(settings.kafka, settings.registry)
        users = Users(settings.users)
        users.all()
        cluster_id = _cluster_id(settings)
        with ExitStack() as made:
            self._audit = AuditWriter(settings.kafka, schemas, CLIENT_ID)
            made.callback(self._audit.close)
            directory = settings.data_dir / "console"
            self._store = IndexStore(directory / "index", cluster_id, anew=settings.rebuild_index)
            made.callback(self._store.close)
            lifetimes = Lifetimes(settings.session_hours * 3_600, settings.idle_minutes * 60)
            sessions = Sessions(directory, users, lifetimes)
            made.callback(sessions.close)
            self._feed = IndexFeed(settings.kafka, schemas, self._store)
            made.callback(self._feed.close)
            self._flow = FlowSampler(settings.kafka, self._feed)
            made.callback(self._flow.close)
            weeks = WeeksDesk(cluster, settings.functional_currency_code)
            made.callback(weeks.close)
            reviews = None if settings.documents_dir is None else ReviewDesk(settings.documents_dir)
            if reviews is not None:
                made.callback(reviews.close)
            self._parts = made.pop_all()
        self._service = Service(
            settings,
            users,
            sessions,
            SignInThrottle(),
            self._audit,
            Questions(self._store),
            self._feed,
            self._flow,
            rules,
            weeks,
            _archive(settings),
            reviews,
            Sightings(self._audit),
            ApprovalDesk(cluster, policy, self._audit),
        )
        self._server = HttpServer(settings)

    @property
    def port(self) -> int | None:
        """Where it listens, once it does."""
        return self._server.port

    def run(self, stop: threading.Event) -> None:
        """Follow the topics and serve until `stop`, then finish what is in hand."""
        with self._parts:
            self._feed.start()
            self._flow.start()
            with self._server:
                asyncio.run(self._serve(stop))
        if self._feed.failure is not None:
            raise self._feed.failure

    def ready(self) -> bool:
        """Whether it serves and its index goes on."""
        return self.port is not None and self._feed.failure is None

    async def _serve(self, stop: threading.Event) -> None:
        app = console_app(self._service)
        await self._server.serve(app, lambda: stop.is_set() or self._feed.failure is not None)


def _archive(settings: ConsoleSettings) -> ArchiveView | None:
    if settings.archive is None:
        return None
    try:
        # Only here: the libraries of the backup are an extra.
        from deploy.console.archive import ArchiveView
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"ORDERSYNC_ARCHIVE__POLICY needs the extra of the backup ({exc.name} is missing): install "
            "ordersync[backup], or leave the setting out"
        ) from exc
    return ArchiveView(settings.archive.policy, settings.archive.root, settings.data_dir / "console" / "archive")


def _cluster_id(settings: ConsoleSettings) -> str:
    try:
        # Kept in a variable: an admin client that goes away takes its questions with it.
        admin = AdminClient(settings.kafka.client_config())
        return str(admin.describe_cluster(request_timeout=_ANSWER_SECONDS).result().cluster_id)
    except KafkaException as exc:
        raise Transient(f"Kafka does not answer ({exc.args[0].str()}); is the broker running?") from exc
