"""The worker: an HTTP server, the index beside it, and what samples the flow."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from contextlib import ExitStack, nullcontext, suppress
from typing import Any

import uvicorn
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.console.auditing import AuditLog
from deploy.console.flow.sampling import FlowSampler
from deploy.console.index.following import IndexFeed
from deploy.console.index.questions import Questions
from deploy.console.index.store import IndexStore
from deploy.console.people.sessions import Lifetimes, Sessions
from deploy.console.people.throttle import SignInThrottle
from deploy.console.people.users import Users
from deploy.console.settings import ConsoleSettings
from deploy.console.web.app import console_app
from deploy.console.web.service import Service
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError, Transient
from streams.rules.governance import rules_of

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1
_BACKLOG = 128
_ANSWER_SECONDS = 15.0


class ConsoleWorker:
    """One process of the console. It serves from its first moment on, and says how far its index is."""

    def __init__(self, settings: ConsoleSettings, schemas: SchemaIds) -> None:
        """Raises ConfigurationError for wrong settings, Transient while Kafka or the registry is away."""
        self._settings = settings
        rules = rules_of(settings.rules_file)
        users = Users(settings.users)
        users.all()
        cluster_id = _cluster_id(settings)
        with ExitStack() as made:
            self._audit = AuditLog(settings.kafka, schemas)
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
        )
        self.port: int | None = None
        """Where it listens, once it does."""

    def run(self, stop: threading.Event) -> None:
        """Follow the topics and serve until `stop`, then finish what is in hand."""
        with self._parts:
            self._feed.start()
            self._flow.start()
            with self._listening() as listening:
                self.port = listening.getsockname()[1]
                scheme = "https" if self._settings.tls_certificate is not None else "http"
                _log.info("serving on %s://%s:%d", scheme, self._settings.host, self.port)
                asyncio.run(self._serve(listening, stop))
        if self._feed.failure is not None:
            raise self._feed.failure

    def ready(self) -> bool:
        """Whether it serves and its index goes on."""
        return self.port is not None and self._feed.failure is None

    async def _serve(self, listening: socket.socket, stop: threading.Event) -> None:
        server = _Server(uvicorn.Config(console_app(self._service), **self._options()))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not serving.done():
            if stop.is_set() or self._feed.failure is not None:
                server.should_exit = True
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(serving), _LOOK_SECONDS)
        serving.result()

    def _options(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "http": "httptools",
            "ws": "none",
            "lifespan": "off",
            "access_log": False,
            "log_config": None,
            "server_header": False,
            "proxy_headers": False,
            "timeout_graceful_shutdown": max(1, round(settings.stop_seconds)),
            "ssl_certfile": settings.tls_certificate,
            "ssl_keyfile": settings.tls_key,
        }

    def _listening(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((self._settings.host, self._settings.port))
            made.listen(_BACKLOG)
        except OSError as exc:
            made.close()
            where = f"{self._settings.host}:{self._settings.port}"
            raise ConfigurationError(f"cannot listen on {where}: {exc.strerror}; see ORDERSYNC_PORT") from exc
        return made


class _Server(uvicorn.Server):
    """Leaves the signals to the process that hosts the worker."""

    @staticmethod
    def capture_signals() -> Any:
        """None are taken."""
        return nullcontext()


def _cluster_id(settings: ConsoleSettings) -> str:
    try:
        # Kept in a variable: an admin client that goes away takes its questions with it.
        admin = AdminClient(settings.kafka.client_config())
        return str(admin.describe_cluster(request_timeout=_ANSWER_SECONDS).result().cluster_id)
    except KafkaException as exc:
        raise Transient(f"Kafka does not answer ({exc.args[0].str()}); is the broker running?") from exc
