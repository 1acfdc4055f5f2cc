"""Has documents looked into by processes of their own, so that a hostile one harms nobody: worker, console or shell.

One template for each process that asks: it loads the libraries once, has no environment, and forks for each document.
The child can open no file, socket or process once it looks at the document. What it may use has an end; what it has
told until then is kept.
"""

from __future__ import annotations

import atexit
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from time import monotonic
from typing import Any, Final

from producers.documents.isolation.messages import BEGUN, BROKEN, DONE, HEAD_BYTES, MEMORY, PART, REFUSED, told_by
from producers.documents.reasons import Reason, RefusedDocument
from schemas.errors import ConfigurationError, Transient

_LIBRARIES: Final = ("PIL", "pdfplumber", "pypdf", "pypdfium2")
_START_SECONDS: Final = 60.0
_ATTEMPTS: Final = 2
"""The template may have been ended by somebody; then it is started again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What looking into one document may use."""

    memory_bytes: int = 1 << 30
    seconds: int = 20
    """Of processor time."""
    waited_seconds: float = 60.0
    written_bytes: int = 16 << 20
    """Of all that is told."""


class TooExpensive(Exception):
    """It took more than it may use."""


class Broken(Exception):
    """A library stumbled over the document."""


def missing() -> ConfigurationError | None:
    """What to tell where the libraries for it are not installed."""
    names = [name for name in _LIBRARIES if _is_missing(name)]
    return (
        ConfigurationError(f"PDFs and scans need ordersync[documents] ({', '.join(names)} is missing)")
        if names
        else None
    )


def _is_missing(name: str) -> bool:
    try:
        return find_spec(name) is None
    except ValueError:
        # It is loaded as nothing.
        return True


class _Template:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def connection(self) -> socket.socket:
        """To a child that waits for its document."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            for _ in range(_ATTEMPTS):
                control = self._control or self._start()
                try:
                    socket.send_fds(control, [b"."], [theirs.fileno()])
                    return ours
                except ConnectionError:
                    self._end()
        ours.close()
        raise Transient("the process that reads documents ends at once")

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-m", "producers.documents.isolation"]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
            )
        self._control = ours
        return ours

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def end(self) -> None:
        """The template ends with its connection; called when the process ends."""
        with self._lock:
            self._end()


_TEMPLATE: Final = _Template()
atexit.register(_TEMPLATE.end)


class _Answers:
    """What one child tells, while it may."""

    def __init__(self, connection: socket.socket, bounds: Bounds) -> None:
        self._connection = connection
        self._waiting = bounds.waited_seconds
        self._bytes_left = bounds.written_bytes

    def begin(self, question: bytes, content: bytes) -> bool:
        """Hand over the document; False where there is no child to take it."""
        self._connection.settimeout(_START_SECONDS)
        try:
            self._connection.sendall(question)
            self._connection.sendall(content)
            return self._exactly(HEAD_BYTES, _START_SECONDS)[:1] == BEGUN
        except (ConnectionError, TooExpensive, TimeoutError):
            return False

    def parts(self) -> Iterator[bytes]:
        """Until it is done. Raises TooExpensive, Broken, RefusedDocument."""
        while True:
            sign, length = told_by(self._next(HEAD_BYTES))
            self._bytes_left -= length
            if sign == MEMORY or self._bytes_left < 0:
                raise TooExpensive
            part = self._next(length)
            if sign == DONE:
                return
            if sign == REFUSED:
                raise _refusal(part)
            if sign != PART:
                raise Broken(part.decode("utf-8", "replace") if sign == BROKEN else "nothing that is understood")
            yield part

    def _next(self, length: int) -> bytes:
        began = monotonic()
        try:
            return self._exactly(length, self._waiting)
        except (ConnectionError, TimeoutError) as exc:
            raise TooExpensive from exc
        finally:
            self._waiting -= monotonic() - began

    def _exactly(self, length: int, seconds: float) -> bytes:
        until, read = monotonic() + seconds, bytearray()
        while len(read) < length:
            self._connection.settimeout(max(0.001, until - monotonic()))
            piece = self._connection.recv(min(length - len(read), 1 << 20))
            if not piece:
                raise TooExpensive
            read += piece
        return bytes(read)


def _refusal(told: bytes) -> RefusedDocument | Broken:
    try:
        return RefusedDocument([Reason(str(rule), str(said), str(place)) for rule, said, place in json.loads(told)])
    except (ValueError, TypeError, IndexError):
        return Broken("nothing that is understood")


def parts_of(task: str, asked: Mapping[str, Any], content: bytes, bounds: Bounds) -> Iterator[bytes]:
    """What is found in a document, part by part; called by whoever has one from outside.

    Raises:
        TooExpensive: it takes more than the bounds say, or harms the libraries; earlier parts are whole.
        Broken: it is damaged.
        RefusedDocument: it breaks one of the rules for its form.
        Transient: no process can be started for it now.
    """
    told = {"task": task, "length": len(content), "memory_bytes": bounds.memory_bytes, "seconds": bounds.seconds}
    question = json.dumps(dict(asked) | told).encode() + b"\n"
    for _ in range(_ATTEMPTS):
        with _TEMPLATE.connection() as connection:
            answers = _Answers(connection, bounds)
            if answers.begin(question, content):
                yield from answers.parts()
                return
    raise Transient("no process can be started to look into a document: is there memory for it?")
