"""An HTTP server inside a worker: it listens, serves until its worker stops, and finishes what is in hand."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self

import uvicorn
from starlette.types import ASGIApp

from schemas.errors import ConfigurationError

_log = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 0.05
_BACKLOG: Final = 2_048
_GC_THRESHOLDS: Final = (20_000, 20, 20)
"""A request leaves no cycles behind: looking for some after each few hundred objects took 4 % of the time."""


class ServerSettings(Protocol):
    """What the settings of a worker say of its server."""

    @property
    def host(self) -> str:
        """Address to listen on."""
        ...

    @property
    def port(self) -> int:
        """0 takes a free one."""
        ...

    @property
    def tls_certificate(self) -> Path | None:
        """PEM file of the certificate chain; plain HTTP without."""
        ...

    @property
    def tls_key(self) -> Path | None:
        """PEM file of its private key."""
        ...

    @property
    def stop_seconds(self) -> float:
        """How long requests in hand have when the worker stops."""
        ...


class HttpServer:
    """A context in which callers may connect, and in it `serve`, which answers them."""

    def __init__(self, settings: ServerSettings, *, is_shared: bool = False) -> None:
        """`is_shared`: several processes of one machine may listen on the port, and share its callers."""
        self._settings = settings
        self._is_shared = is_shared
        self._socket: socket.socket | None = None
        self.port: int | None = None
        """Where it listens, once it does."""

    def __enter__(self) -> Self:
        """Listen: from here on callers wait instead of being turned away.

        Raises:
            ConfigurationError: the address or the port cannot be had.
        """
        self._socket = self._listening()
        self.port = self._socket.getsockname()[1]
        scheme = "https" if self._settings.tls_certificate is not None else "http"
        _log.info("serving on %s://%s:%d", scheme, self._settings.host, self.port)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the port back."""
        if self._socket is not None:
            self._socket.close()

    async def serve(self, app: ASGIApp, is_over: Callable[[], bool]) -> None:
        """Answer callers until `is_over`, then those in hand."""
        assert self._socket is not None
        server = _Server(uvicorn.Config(app, **self._options()))
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        while not serving.done():
            if is_over():
                server.should_exit = True
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(serving), _LOOK_SECONDS)
        serving.result()

    def _listening(self) -> socket.socket:
        settings = self._settings
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        # Named, because the event loop sends at once (TCP_NODELAY) only what says that it is TCP: without it a browser
        # waits 40 ms for the second packet of each answer.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            made.bind((settings.host, settings.port))
            made.listen(_BACKLOG)
        except OSError as exc:
            made.close()
            where = f"{settings.host}:{settings.port}"
            raise ConfigurationError(f"cannot listen on {where}: {exc.strerror}; see ORDERSYNC_PORT") from exc
        return made

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
            "timeout_graceful_shutdown": settings.stop_seconds,
            "ssl_certfile": settings.tls_certificate,
            "ssl_keyfile": settings.tls_key,
        }


class _Server(uvicorn.Server):
    """Leaves the signals to the process that hosts the worker, and what lives as long as it to no collection."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve.

        Modules, routes and models are over 100,000 objects: to look through them for garbage holds every caller up for
        70 ms, again and again, and they never become any.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)

    @staticmethod
    def capture_signals() -> Any:
        """None are taken."""
        return nullcontext()
