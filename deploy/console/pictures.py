"""Pictures of where the fields of a review were read: drawn one document at a time, kept for the last few."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from schemas.errors import Transient

if TYPE_CHECKING:
    from producers.documents.crops.bounded import Crops
    from producers.documents.register import Review

KEPT: Final = 8
"""So many documents' pictures are kept; those of one are 16 MiB at the most."""
MOST_WAITING: Final = 16


class PictureDesk:
    """A document that takes long keeps only pictures waiting, no other page: whoever asks gets a future, no thread."""

    def __init__(self, draw: Callable[[Review], Crops]) -> None:
        self._draw = draw
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Future[Crops]] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    def of(self, review: Review) -> Future[Crops]:
        """All pictures of a review; those of many fields of one are drawn once.

        Raises:
            Transient: too many other documents wait to be drawn.
        """
        with self._lock:
            found = self._known.get(review.id)
            if found is None or (found.done() and found.exception() is not None):
                if sum(not one.done() for one in self._known.values()) >= MOST_WAITING:
                    raise Transient(f"{MOST_WAITING} documents wait to be drawn; look again in a moment")
                found = self._known[review.id] = self._thread.submit(self._draw, review)
            self._known.move_to_end(review.id)
            for name in [name for name, one in self._known.items() if one.done()][: max(0, len(self._known) - KEPT)]:
                del self._known[name]
            return found

    def close(self) -> None:
        """Begin no more; a document in hand is drawn within its bounds."""
        self._thread.shutdown(wait=False, cancel_futures=True)
