"""Every worker that `ordersync worker NAME` can host, and how it is put together from its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry

from deploy.worker_contract import Assembled, Worker, WorkerKind
from schemas.errors import ConfigurationError
from schemas.registry import SchemaRegistry
from schemas.settings import WorkerSettings

if TYPE_CHECKING:
    from consumers.registry import SinkDefinition

S = TypeVar("S", bound=WorkerSettings)

API = "api"

DOCUMENTS = "documents"

CONSOLE = "console"

CAPTURE = "capture"

RECONCILE = "reconcile"

STREAMS = "streams"

LAG = "lag"

FIGURES = "figures"

AUDITOR = "auditor"

WRITE_BACK = "write-back"

PUBLISHER = "publisher"

_OF_A_SYSTEM = (CAPTURE, WRITE_BACK)
"""Kinds of which an installation has one for each of its systems, named `KIND-SYSTEM`."""


def worker_kinds() -> dict[str, WorkerKind]:
    """By name: what captures, the streams, one for each sink of the registry, and what backs up and watches."""
    # Only here: a capture or stream worker does without the libraries of the sinks, and their memory.
    from consumers.registry import PARTNER_SINKS, SINKS

    known = (SINKS | PARTNER_SINKS).items()
    sinks = {name: WorkerKind(name, f"topics -> {name}", _sink(definition)) for name, definition in known}
    return _SOURCES | sinks | _PARTNERS | _BACKUP | _WATCHING


def kind_of(name: str) -> WorkerKind:
    """The kind of the worker `name`; any `capture-...` or `write-back-...` has a mapping file of its own.

    Raises:
        ConfigurationError: there is no such worker.
    """
    plain = next((kind for kind in _OF_A_SYSTEM if name.startswith(f"{kind}-")), name)
    kind = (_SOURCES | _PARTNERS | _BACKUP | _WATCHING).get(plain) or worker_kinds().get(plain)
    if kind is None:
        raise ConfigurationError(
            f"there is no worker {name!r}; workers: {', '.join(worker_kinds())}, "
            + ", ".join(f"{one}-ANYTHING" for one in _OF_A_SYSTEM)
        )
    return kind


@contextmanager
def _libraries_of(extra: str) -> Iterator[None]:
    """Around the imports of a worker whose libraries are an extra.

    Raises:
        ConfigurationError: they are not installed.
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        raise ConfigurationError(f"{exc}: the worker's libraries are missing; install ordersync[{extra}]") from exc


def _with_schemas(settings: type[S], make: Callable[[S, SchemaRegistry, CollectorRegistry], Worker]) -> Assembled:
    """A worker that looks up schemas."""
    known = settings.load()
    schemas = SchemaRegistry(known.registry)
    return Assembled(known, lambda: make(known, schemas, REGISTRY))


def _streams() -> Assembled:
    # Only here: Faust's app reads the environment when it is imported.
    from streams.settings import StreamsSettings
    from streams.worker import StreamsWorker

    return Assembled(StreamsSettings.load(), StreamsWorker)


def _sink(definition: SinkDefinition[Any]) -> Callable[[], Assembled]:
    return lambda: _with_schemas(definition.settings, definition.runner)


def _capture() -> Assembled:
    # Only here: sinks need nothing of the capture.
    from producers.cdc.settings import CaptureSettings
    from producers.cdc.worker import CaptureWorker

    return _with_schemas(CaptureSettings, CaptureWorker)


def _archive() -> Assembled:
    # Only here: the libraries of the backup are an extra.
    with _libraries_of("backup"):
        from deploy.backup.workers import archive

    return archive()


def _keeper() -> Assembled:
    # Only here: the libraries of the backup are an extra.
    with _libraries_of("backup"):
        from deploy.backup.workers import keeper

    return keeper()


def _reconcile() -> Assembled:
    # Only here: no other worker needs the libraries of all systems.
    from consumers.reconcile.settings import ContinuousSettings
    from consumers.reconcile.worker import ReconcileWorker

    return _with_schemas(ContinuousSettings, ReconcileWorker)


def _api() -> Assembled:
    # Only here: the libraries of the API are an extra.
    with _libraries_of(API):
        from producers.api.settings import ApiSettings
        from producers.api.worker import ApiWorker

    return _with_schemas(ApiSettings, ApiWorker)


def _documents() -> Assembled:
    # Only here: the libraries of the API, whose intake it uses, are an extra.
    with _libraries_of(DOCUMENTS):
        from producers.documents.settings import DocumentsSettings
        from producers.documents.worker import DocumentsWorker

    return _with_schemas(DocumentsSettings, DocumentsWorker)


def _webhooks() -> Assembled:
    # Only here: no other worker sends requests to vendors.
    from consumers.vendors.deliveries.settings import DispatchSettings
    from consumers.vendors.webhooks.worker import WebhooksWorker

    settings = DispatchSettings.load()
    return Assembled(settings, lambda: WebhooksWorker(settings, REGISTRY))


def _vendor_files() -> Assembled:
    # Only here: no other worker writes files for vendors.
    from consumers.vendors.deliveries.settings import DispatchSettings
    from consumers.vendors.files.worker import VendorFilesWorker

    settings = DispatchSettings.load()
    return Assembled(settings, lambda: VendorFilesWorker(settings, REGISTRY))


def _lag() -> Assembled:
    # Only here: no other worker watches the groups.
    from deploy.telemetry.lag.worker import LagSettings, LagWorker

    settings = LagSettings.load()
    return Assembled(settings, lambda: LagWorker(settings, REGISTRY))


def _console() -> Assembled:
    # Only here: the libraries of the console are an extra.
    with _libraries_of(CONSOLE):
        from deploy.console.settings import ConsoleSettings
        from deploy.console.worker import ConsoleWorker

    return _with_schemas(ConsoleSettings, lambda settings, schemas, _: ConsoleWorker(settings, schemas))


_BACKUP = {
    "archive": WorkerKind("archive", "topics of the backup policy -> encrypted segments in every copy", _archive),
    "keeper": WorkerKind("keeper", "proves what the archive committed, and signs which state is the newest", _keeper),
}

_PARTNERS = {
    "webhooks": WorkerKind("webhooks", "queues of the vendors -> signed requests to their servers", _webhooks),
    "vendor-files": WorkerKind("vendor-files", "queues of the vendors -> UBL, EDIFACT and X12 files", _vendor_files),
}


def _figures() -> Assembled:
    # Only here: no other worker reads the ledger's views.
    from deploy.telemetry.ledger_figures import FiguresSettings, LedgerFigures

    settings = FiguresSettings.load()
    return Assembled(settings, lambda: LedgerFigures(settings, REGISTRY))


def _auditor() -> Assembled:
    # Only here: no other worker reads the audit.
    from deploy.audit.watching import Auditor, AuditorSettings

    settings = AuditorSettings.load()
    return Assembled(settings, lambda: Auditor(settings, REGISTRY))


_WATCHING = {
    AUDITOR: WorkerKind(AUDITOR, "audit.events held against its hash chains and notes -> metrics", _auditor),
    FIGURES: WorkerKind(FIGURES, "figures of the general ledger -> metrics", _figures),
    LAG: WorkerKind(LAG, "offsets of every consumer group -> how far behind each is, and how it does", _lag),
}

_SOURCES = {
    CAPTURE: WorkerKind(CAPTURE, "changes of one source database -> topics, by a mapping file", _capture),
    API: WorkerKind(API, "orders over HTTP -> orders.captured, and what became of them -> callers", _api),
    CONSOLE: WorkerKind(CONSOLE, "topics -> web pages for people, and what they do -> topics", _console),
    DOCUMENTS: WorkerKind(DOCUMENTS, "orders in e-mails, EDI, UBL and tables -> orders.captured", _documents),
    RECONCILE: WorkerKind(RECONCILE, "sources, state, ERP and ledger -> orders.mismatches", _reconcile),
    STREAMS: WorkerKind(STREAMS, "captured events -> versions, dead letters, journal entries", _streams),
}
