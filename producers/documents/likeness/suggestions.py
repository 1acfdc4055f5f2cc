"""Adds to the doubts of an order that waits what its customer and its products may be by what their names mean."""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from producers.documents.doubts import Doubt
from producers.documents.likeness.model import Model, installed_model
from producers.documents.masters import Masters
from producers.documents.order import ReadOrder
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from producers.documents.likeness.encoder import Encoder

_log = logging.getLogger(__name__)
_LINE: Final = re.compile(r"lines\.(\d+)\.product")
_SHOWN = 3
_LOOKED_AT = 20
"""More than are shown, because some are candidates already."""
_LEAST = 0.4
"""Below it names have hardly more in common than that both are goods."""
_MOST_DOUBTS = 50
_MOST_NEW = 200
"""What one document may cost at most: so many of its doubts, so many names of each kind that have no vector yet."""
_MOST_NAMES = 50_000
"""Of each kind, for the sake of memory: 150 MB at this number; further ones are not looked at."""


class Suggestions:
    """Called by the worker for an order that was put aside for a person; it never has a say in whether one is.

    One at a time; it blocks, so it is called in a thread. The model is loaded at the first doubt about a name.
    """

    def __init__(self, directory: Path, model: Model | None = None) -> None:
        """Vectors are kept in `directory`; `model` is the installed one unless told otherwise."""
        self._path = directory / "likeness.sqlite"
        self._model = model or installed_model()
        self._encoder: Encoder | None = None
        self._lock = threading.Lock()

    def added(self, read: ReadOrder, doubts: Sequence[Doubt], masters: Masters) -> list[Doubt]:
        """The same doubts; those about an unknown customer or product with candidates `by_meaning`, nearest first."""
        names = {
            "product": {one.id: one.name for one in masters.products.all()},
            "customer": {one.id: one.name for one in masters.customers.all()},
        }
        asked: dict[str, dict[int, str]] = defaultdict(dict)
        for place, doubt in enumerate(doubts):
            kind, text = _question(read, doubt)
            if text.strip() and sum(map(len, asked.values())) < _MOST_DOUBTS:
                asked[kind][place] = text
        found = list(doubts)
        with self._lock:
            for kind, texts in asked.items():
                for place, nearest in self._nearest(kind, texts, names[kind]).items():
                    found[place] = _with(doubts[place], nearest)
        return found

    def _nearest(
        self, kind: str, texts: Mapping[int, str], names: Mapping[str, str]
    ) -> dict[int, list[tuple[str, str, float]]]:
        encoder = self._loaded()
        if encoder is None or self._model is None:
            return {}
        # Only here: they need the model's package.
        from producers.documents.likeness.vectors import KeptVectors

        ids = defaultdict(list)
        for id, name in names.items():
            ids[name].append(id)
        kept = KeptVectors(self._path, self._model.name, encoder.dimensions)
        known, vectors = kept.of(kind, islice(ids, _MOST_NAMES), encoder.vectors, _MOST_NEW)
        likenesses = encoder.vectors(list(texts.values())) @ vectors.T
        found = {}
        for place, row in zip(texts, likenesses, strict=True):
            nearest = (-row).argsort(kind="stable")[:_LOOKED_AT].tolist()
            near = [(id, known[at], min(round(float(row[at]), 3), 1.0)) for at in nearest for id in ids[known[at]]]
            found[place] = [one for one in near if one[2] >= _LEAST]
        return found

    def _loaded(self) -> Encoder | None:
        if self._encoder is None and self._model is not None:
            from producers.documents.likeness.encoder import Encoder

            try:
                self._encoder = Encoder(self._model.directory)
            except ConfigurationError as exc:
                self._model = None
                _log.error("the queue shows no candidates by meaning until `make likeness` and a restart: %s", exc)
        return self._encoder


def _question(read: ReadOrder, doubt: Doubt) -> tuple[str, str]:
    """Of which kind the record is that nobody knows, and how the document names it."""
    if doubt.rule == "customer.unknown":
        return "customer", read.buyer.name or ""
    found = _LINE.fullmatch(doubt.where) if doubt.rule == "product.unknown" else None
    if found is None or int(found[1]) >= len(read.lines):
        return "", ""
    line = read.lines[int(found[1])]
    return "product", f"{line.name or ''} {line.more_name or ''}"


def _with(doubt: Doubt, nearest: Sequence[tuple[str, str, float]]) -> Doubt:
    known = {id for id, _, _ in doubt.candidates}
    return replace(doubt, by_meaning=[one for one in nearest if one[0] not in known][:_SHOWN])
