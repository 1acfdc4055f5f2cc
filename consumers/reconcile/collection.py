"""Keeps the collector of cyclic garbage away from a batch of orders."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Until its end nothing is looked through for cycles; for work that holds many objects, and makes none.

    What is held of thousands of orders would be walked through again and again; it goes by itself when they are done.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
