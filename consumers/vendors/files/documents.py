"""What every format of files has in common: the interchange to be written, and the checks of its values."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from consumers.vendors.deliveries.messages import plain_quantity
from consumers.vendors.profiles import Files
from schemas.errors import InvalidValue
from schemas.models import Shipment, VendorLine, VendorUpdate

_APART = {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"} | {
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "ı": "i", "’": "'", "‘": "'", "–": "-", "—": "-"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Partners:
    """Whose file it is: what the profile says of it, and both names."""

    files: Files
    vendor_id: str
    vendor_name: str | None

    def item(self, product_id: str) -> str | None:
        """The vendor's own number of a product, where it has one."""
        return self.files.items.get(product_id)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Number and time of one interchange."""

    control_number: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file that is ready to be written."""

    kind: str
    """Part of its name: OrderResponse, ORDRSP, 855 ..."""
    suffix: str
    content: bytes


def shipment_of(update: VendorUpdate) -> Shipment:
    """The shipment that the update is about.

    Raises:
        InvalidValue: it names one that it does not have.
    """
    for shipment in update.shipments:
        if shipment.shipment_id == update.shipment_id:
            return shipment
    raise InvalidValue(f"the update has no shipment {update.shipment_id!r}", field="shipment_id")


def line_of(update: VendorUpdate, line_id: str) -> VendorLine | None:
    """The line with that number, where the vendor still sees it."""
    return next((line for line in update.lines if line.line_id == line_id), None)


def checked(text: str, rule: str, field: str, longest: int, *, shortest: int = 1) -> str:
    """A value that fits its element.

    Raises:
        InvalidValue: it does not; `rule` is the element's name in its standard.
    """
    if not shortest <= len(text) <= longest:
        raise InvalidValue(
            f"{field} {text!r} has {len(text)} characters, {rule} takes {shortest} to {longest}", rule=rule, field=field
        )
    if any(ord(letter) < 32 for letter in text):
        raise InvalidValue(f"{field} {text!r} has control characters", rule=rule, field=field)
    return text


def quantity(amount: Decimal, rule: str, longest: int) -> str:
    """A quantity, with so many digits at most."""
    text = plain_quantity(amount)
    if len(text.replace(".", "").replace("-", "")) > longest:
        raise InvalidValue(f"quantity {text} has more than the {longest} digits of {rule}", rule=rule, field="quantity")
    return text


def spelled(text: str, encoding: str, unwanted: str = "") -> str:
    """Free text in the letters that an encoding has: accents and ligatures it lacks are left out or written apart.

    For names and addresses, never for identifications. `unwanted` letters become blanks. What has no such spelling
    stays, and is refused where it is written.
    """
    words = unicodedata.normalize("NFC", " ".join(text.translate(dict.fromkeys(map(ord, unwanted), " ")).split()))
    return "".join(letter if _has(encoding, letter) else _spelling(letter) for letter in words)


def _spelling(letter: str) -> str:
    if letter in _APART:
        return _APART[letter]
    plain = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    return plain if plain and plain.isascii() else letter


def _has(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def pieces(text: str, length: int, most: int) -> Sequence[str]:
    """A text in parts of a length, as many as there may be."""
    return [text[start : start + length] for start in range(0, min(len(text), length * most), length)]
