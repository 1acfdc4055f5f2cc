"""How numbers and texts of a document are written for the API."""

from __future__ import annotations

from decimal import Decimal


def written(number: Decimal, places: int) -> str:
    """A number as the API takes it, without zeros at the end."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    # More decimals than fit are refused by the shape of the field, not cut off.
    return text or "0" if len(text.partition(".")[2]) <= places else f"{number:f}"


def sound_text(text: str | None) -> str | None:
    """What of a text fits into a field; none where nothing is left."""
    cleaned = (text or "").replace("\x00", "").strip()
    return cleaned[:255] or None
