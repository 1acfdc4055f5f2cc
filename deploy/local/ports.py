"""Ports on loopback that a stack keeps from one run to the next."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Collection
from pathlib import Path

from deploy.security.files import write_private
from schemas.errors import Fatal

LOOPBACK = "127.0.0.1"
# Below the range that the system gives to outgoing connections, so that none of those takes a server's port.
_RANGE = (20_000, 32_000)
_ATTEMPTS = 200


class Ports:
    """The named ports of one home; a port that somebody else took is replaced at a cold start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def claim(self, name: str) -> int:
        """The port kept under this name where it is free, otherwise a new one that is kept from now on.

        Raises:
            Fatal: no free port was found.
        """
        kept = self._read()
        port = kept.get(name)
        if port is not None and is_free(port):
            return port
        kept[name] = free_port(taken=set(kept.values()))
        write_private(self._path, json.dumps(kept, indent=2))
        return kept[name]

    def kept(self, name: str) -> int:
        """The port kept under this name, whoever listens there now; 0 where none is kept."""
        return self._read().get(name, 0)

    def _read(self) -> dict[str, int]:
        try:
            return {str(name): int(port) for name, port in json.loads(self._path.read_text()).items()}
        except (FileNotFoundError, ValueError, AttributeError):
            return {}


def is_free(port: int) -> bool:
    """Whether a server could listen there now, as servers ask for it (connections that linger do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def accepts(port: int) -> bool:
    """Whether somebody answers there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def free_port(taken: Collection[int] = ()) -> int:
    """A port where nobody listens now. Raises `Fatal`."""
    for _ in range(_ATTEMPTS):
        port = random.randrange(*_RANGE)
        if port not in taken and is_free(port):
            return port
    raise Fatal(
        f"No free port was found on {LOOPBACK} between {_RANGE[0]} and {_RANGE[1]} in {_ATTEMPTS} attempts. "
        "Stop programs that listen there (`ss -ltn` lists them) and start again."
    )
