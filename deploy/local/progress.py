"""How the embedded stack tells a person what it is doing: a protocol, a silent form and one for the terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class StackProgress(Protocol):
    """Hears of each step; called from several threads."""

    def step(self, server: str, message: str) -> None:
        """A server reached a step, in a few words ("starting", "ready in 2.1 s")."""

    def download(self, name: str, total_bytes: int) -> AbstractContextManager[Callable[[int], None]]:
        """A download begins; the context's value takes the number of bytes of each piece."""


class SilentProgress:
    """Says nothing; for tests and machines."""

    def step(self, server: str, message: str) -> None:
        """Nothing to say."""

    def download(self, name: str, total_bytes: int) -> AbstractContextManager[Callable[[int], None]]:
        """Counts nothing."""
        return nullcontext(lambda count: None)


class ConsoleProgress:
    """Lines for the steps and one bar for each download, on standard error so that results stay clean."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars = Progress(*columns, console=self._console, transient=True)
        self._downloads = 0
        self._lock = threading.Lock()

    def step(self, server: str, message: str) -> None:
        """Print `server: message`."""
        self._console.print(f"[bold]{server:<10}[/bold] {message}", highlight=False)

    @contextmanager
    def download(self, name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        """Show a bar for as long as the download lasts."""
        self._count(+1)
        task = self._bars.add_task(name, total=total_bytes or None)
        try:
            yield lambda count: self._bars.advance(task, count)
        finally:
            self._bars.remove_task(task)
            self._count(-1)

    def _count(self, change: int) -> None:
        # A terminal shows one live display at a time: all downloads share it.
        with self._lock:
            if self._downloads == 0:
                self._bars.start()
            self._downloads += change
            if self._downloads == 0:
                self._bars.stop()
