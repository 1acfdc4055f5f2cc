"""The HTTP server inside workers."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path
from typing import Any

import pytest
import uvloop

from producers.serving import HttpServer


class _Settings:
    host = "127.0.0.1"
    port = 0
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    stop_seconds = 5.0


class _App:
    """Notes how the connection of its only caller sends, and how much no collection looks through."""

    sends_at_once: bool | None = None
    frozen = 0

    async def __call__(self, _: Any, __: Any, send: Any) -> None:
        connection = send.__self__.transport.get_extra_info("socket")
        self.sends_at_once = bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.frozen = gc.get_freeze_count()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def _asked_once(app: _App) -> None:
    with HttpServer(_Settings()) as server:
        serving = asyncio.create_task(server.serve(app, lambda: app.sends_at_once is not None))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        writer.close()
        await serving


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_answers_leave_at_once_and_collections_leave_out_what_lives_for_ever(run: Any) -> None:
    app, thresholds = _App(), gc.get_threshold()
    try:
        run(_asked_once(app))
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
    assert app.sends_at_once
    assert app.frozen > 10_000
