"""The template of the processes that look into documents; only `template` starts it.

It holds the libraries, and never sees a document: over its standard input it is given a connection for each, and forks
a child for it. The child takes a line of JSON, the length of the document and the document from there, gives up its
rights, and answers with messages: a sign, the length as 32 bit integer, most significant byte first, and the content.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from producers.documents.crops.cutting import cut
from producers.documents.isolation import loading
from producers.documents.isolation.messages import BEGUN, BROKEN, DONE, MEMORY, PART, REFUSED, head_of
from producers.documents.limits import Limits
from producers.documents.order import Box
from producers.documents.pdf import sheets
from producers.documents.reasons import RefusedDocument

_WAITS: Final = 20
"""Times its processor time is how long a child may live: it waits while somebody works with what it has found."""


def _cut(asked: Mapping[str, Any], content: bytes) -> Iterator[bytes]:
    boxes = [Box(*box) for box in asked["boxes"]]
    for number, picture in cut(content, asked["form"], boxes, Limits(page_pixels=asked["page_pixels"])):
        yield number.to_bytes(4, "big") + picture


_TASKS: Final[Mapping[str, Callable[[Mapping[str, Any], bytes], Iterator[bytes]]]] = {
    "crops": _cut,
    "pdf": lambda asked, content: sheets.of_pdf(content, Limits(**asked["limits"]), asked["is_text_read"]),
    "image": lambda asked, content: sheets.of_image(content, Limits(**asked["limits"])),
}


def give_up(memory_bytes: int, seconds: int) -> None:
    """From here on no file, socket or process can be opened, and memory and time have an end."""
    signal.alarm(_WAITS * seconds)
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _answer(connection: socket.socket) -> None:
    with connection.makefile("rb") as given:
        asked = json.loads(given.readline())
        content = given.read(asked["length"])
    give_up(asked["memory_bytes"], asked["seconds"])

    def tell(sign: bytes, part: bytes = b"") -> None:
        connection.sendall(head_of(sign, part))
        connection.sendall(part)

    tell(BEGUN)
    try:
        for part in _TASKS[asked["task"]](asked, content):
            tell(PART, part)
        tell(DONE)
    except RefusedDocument as exc:
        tell(REFUSED, json.dumps([[one.rule, one.message, one.place] for one in exc.reasons]).encode())
    except MemoryError:
        tell(MEMORY)
    except ConnectionError:
        # Nobody wants to know any more.
        return
    except Exception as exc:  # noqa: BLE001 - whatever a damaged file makes the libraries stumble over
        tell(BROKEN, (str(exc) or type(exc).__name__)[:500].encode("utf-8", "replace"))


def _child(connection: socket.socket, control: socket.socket) -> None:
    """Answer and end, whatever happens: nothing of the template is to be gone on with."""
    try:
        control.close()
        _answer(connection)
    finally:
        os._exit(0)


def main() -> int:
    """Fork for each connection that is handed over, until the process that started this one is gone."""
    loading.load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Whoever interrupts the process that started this one ends the connection too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=0)
    while True:
        given, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not given:
            return 0
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            try:
                if os.fork() == 0:
                    _child(connection, control)
            except OSError:
                # No more processes: whoever waits sees that nothing has begun.
                pass
            finally:
                connection.close()


if __name__ == "__main__":
    sys.exit(main())
