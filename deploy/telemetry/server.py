"""Serves `/metrics`, `/health`, `/health/live` and `/health/ready` of one worker's process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas import metrics
from schemas.errors import ConfigurationError

_TEXT = "text/plain; charset=utf-8"
_log = logging.getLogger(__name__)


class TelemetryServer:
    """Answers in threads of its own, so that a busy worker still says that it lives.

    `/health/live` is 200 while the process answers at all; `/health/ready` is 200 while `ready()` is true, else 503.
    `/health` says in JSON what the worker itself has to say (`health()`), and is 503 where that is an error.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        health: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._registry = registry
        self._ready = ready
        _Readiness(ready, registry)
        self._health = health
        try:
            self._server = _Server((host, port), self)
        except OSError as exc:
            raise ConfigurationError(
                f"/metrics cannot be served on {host}:{port}: {exc.strerror}. Set ORDERSYNC_METRICS_PORT to a free "
                "port, or to 0 for any"
            ) from exc
        self._thread = threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def answer(self, path: str, accept: str) -> tuple[HTTPStatus, str, bytes]:
        """Status, content type and body of one GET."""
        match path:
            case "/metrics":
                encode, content_type = choose_encoder(accept)
                return HTTPStatus.OK, content_type, encode(self._registry)
            case "/health":
                said = {"severity": "fine"} | dict(self._health()) | {"ready": self._ready()}
                bad = said["severity"] == "error"
                status = HTTPStatus.SERVICE_UNAVAILABLE if bad else HTTPStatus.OK
                return status, "application/json", orjson.dumps(said)
            case "/health/live":
                return HTTPStatus.OK, _TEXT, b"live\n"
            case "/health/ready":
                ready = self._ready()
                status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
                return status, _TEXT, b"ready\n" if ready else b"not ready\n"
        return HTTPStatus.NOT_FOUND, _TEXT, b"/metrics, /health, /health/live, /health/ready\n"

    def __enter__(self) -> Self:
        self._thread.start()
        _log.info("metrics on port %d", self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Readiness(Collector):
    """What `/health/ready` says, for those who only read `/metrics`."""

    def __init__(self, ready: Callable[[], bool], registry: CollectorRegistry) -> None:
        self._ready = ready
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Asked anew with each scrape."""
        yield GaugeMetricFamily(metrics.WORKER_READY.name, metrics.WORKER_READY.help, float(self._ready()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], telemetry: TelemetryServer) -> None:
        self.telemetry = telemetry
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        status, content_type, body = self.server.telemetry.answer(
            urlsplit(self.path).path, self.headers.get("Accept", "")
        )
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A probe every second is no news."""
