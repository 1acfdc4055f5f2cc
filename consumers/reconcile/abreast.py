"""Asks several databases at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

Answer = TypeVar("Answer")
_MOST_AT_ONCE: Final = 8


class Ask(Protocol):
    """Begins to ask."""

    def __call__(self, question: Callable[[], Answer], /) -> Future[Answer]:
        """What will have the answer, or what was raised."""
        ...


@contextmanager
def asking_abreast() -> Iterator[Ask]:
    """Whatever is asked within is asked at once; at the end all answers are there."""
    with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="reconcile") as threads:

        def ask(question: Callable[[], Answer], /) -> Future[Answer]:
            return threads.submit(question)

        yield ask
