"""Text with its places, recognised from the picture of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from producers.documents.text.words import Segment
from schemas.errors import ConfigurationError

_LEAST_SCORE = 0.2
"""What is less sure is left out. The library's own 0.5 lets rows of tables vanish: a bad reading shows there is one."""
_UPRIGHT = 0.85
"""Mean score of a page that stands upright; one that lies on its side or head gives less."""
_TURNS = (180, 90, 270)


@dataclass(frozen=True, slots=True)
class _Found:
    boxes: list[Any]
    texts: list[str]
    scores: list[float]

    @property
    def certainty(self) -> float:
        """Mean score of its letters."""
        letters = sum(map(len, self.texts))
        return sum(score * len(text) for score, text in zip(self.scores, self.texts, strict=True)) / max(1, letters)


def recognised(image: Any, page: int, scale: float) -> Iterator[Segment]:
    """The segments of an image; `scale` makes points of its pixels.

    A page that was scanned on its side or head is turned; places are those of the upright page then.
    """
    upright = found = _found(image)
    if found.texts and found.certainty < _UPRIGHT:
        turned = (_found(image.rotate(angle, expand=True)) for angle in _TURNS)
        found = max([found, *turned], key=lambda one: one.certainty)
    for corners, text, score in zip(found.boxes, found.texts, found.scores, strict=True):
        rights, downs = [float(one[0]) for one in corners], [float(one[1]) for one in corners]
        box = (min(rights) * scale, min(downs) * scale, max(rights) * scale, max(downs) * scale)
        cleaned = re.sub(r"\s+", " ", text).strip()
        if cleaned:
            yield Segment(cleaned, page, *box, recognition=score, is_turned=found is not upright)


def _found(image: Any) -> _Found:
    # Only here: it comes with the extra.
    import numpy

    found = _engine()(numpy.asarray(image)[:, :, ::-1])
    if found.boxes is None:
        return _Found([], [], [])
    return _Found(list(found.boxes), list(found.txts), [float(score) for score in found.scores])


@cache
def _engine() -> Any:
    try:
        # Only here: it is an extra's library, and loads its models, once a process.
        from rapidocr import RapidOCR
    except ModuleNotFoundError as exc:
        raise ConfigurationError(f"{exc}: PDFs and scans need ordersync[documents]") from exc
    # Without the classifier that turns single texts: it took `6 uds` for `spn 9`, upside down.
    params = {"Global.log_level": "error", "Global.use_cls": False, "Global.text_score": _LEAST_SCORE}
    return RapidOCR(params=params)
