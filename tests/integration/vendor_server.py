"""A vendor's HTTP server on loopback, which fails in all the ways that servers fail."""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

_RESET = struct.pack("ii", 1, 0)
_PATIENCE_SECONDS = 60.0

ANSWERS: dict[str, bytes] = {
    "ok": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "accepted": b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
    "taken": b"HTTP/1.1 204 No Content\r\nwebhook-acknowledged: true\r\n\r\n",
    "error": b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops",
    "unknown": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    "busy": b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
    "gone": b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
    "garbage": b"\x16\x03\x01 this is no HTTP\r\n\r\n",
    "cut": b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhalf",
    "close": b"",
}
FAULTS = ("error", "unknown", "busy", "garbage", "cut", "close", "reset", "hang", "slow", "redirect")
"""Every way to fail that a later attempt mends."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request, and how it was answered."""

    headers: Mapping[str, str]
    body: bytes
    answer: str

    @property
    def message_id(self) -> str:
        """Its idempotency key."""
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        """What it tells."""
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found


class VendorServer:
    """Answers each request as `choose` says; `received` has all of them in the order of their arrival."""

    def __init__(self, choose: Callable[[dict[str, Any], int], str]) -> None:
        self._choose = choose
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.received: list[Received] = []
        vendor = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    vendor.serve(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?vendor=1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def delivered(self) -> list[Received]:
        """What it took, each message only the first time."""
        with self._lock:
            taken = [one for one in self.received if one.answer in ("ok", "accepted", "taken")]
        return list({one.message_id: one for one in reversed(taken)}.values())[::-1]

    def serve(self, connection: socket.socket) -> None:
        """Requests of one connection until it ends."""
        connection.settimeout(_PATIENCE_SECONDS)
        with connection.makefile("rb") as incoming:
            while (line := incoming.readline()).strip():
                headers = {}
                while text := incoming.readline().strip():
                    name, _, value = text.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = incoming.read(int(headers.get("content-length", 0)))
                assert line.startswith(b"POST /hook?vendor=1 HTTP/1.1")
                if not self._answer(connection, headers, body):
                    return

    def _answer(self, connection: socket.socket, headers: dict[str, str], body: bytes) -> bool:
        """Whether the connection goes on."""
        with self._lock:
            before = sum(one.message_id == headers["webhook-id"] for one in self.received)
            answer = self._choose(json.loads(body)["data"], before)
            self.received.append(Received(headers, body, answer))
        if answer == "hang":
            self._closing.wait(_PATIENCE_SECONDS)
        elif answer == "slow":
            # A byte now and then: the answer as a whole never comes.
            while not self._closing.wait(0.1):
                connection.sendall(b"H")
        elif answer == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.close()
        elif answer == "redirect":
            connection.sendall(f"HTTP/1.1 307 Moved\r\nlocation: {self.url}\r\ncontent-length: 0\r\n\r\n".encode())
            return True
        elif answer == "endless":
            connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while not self._closing.is_set():
                connection.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        else:
            connection.sendall(ANSWERS[answer])
            return answer in ("ok", "accepted", "taken", "error", "unknown", "busy", "gone")
        return False
