"""Exports a ledger in processes that are killed before each file that they put in place.

Arguments: host, port, user, database, directory; the password comes from PGPASSWORD. Prints how many were killed;
the last one ends by itself.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from consumers.warehouse.export.exporter import LedgerExport
from schemas.settings import DatabaseSettings


def main() -> None:
    """Each child goes one file further than the one before."""
    host, port, user, dbname, directory = sys.argv[1:]
    database = DatabaseSettings(host=host, port=int(port), user=user, dbname=dbname)
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            sys.addaudithook(_Killer(killed))
            LedgerExport(database, Path(directory)).export()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(killed)
            sys.exit(os.waitstatus_to_exitcode(status))
        killed += 1


class _Killer:
    """Kills its process when it is about to rename a file for the last time that is allowed."""

    def __init__(self, allowed: int) -> None:
        self._left = allowed

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename":
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1


if __name__ == "__main__":
    main()
