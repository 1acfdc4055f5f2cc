"""Number and day of an order beside labels that are not known, told by their shape and what stands there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from producers.documents.text import labels
from producers.documents.text.headers import BELOW, FoundText
from producers.documents.text.words import Row, Segment, plain

_NUMBER = re.compile(r"(?<![A-Za-z0-9])(?:PO|BC|OC)[-/]?\d[\d./-]{2,19}")
"""As ERP systems number orders of purchase: the first letters of what they are called."""
_OTHER_NUMBER = re.compile(
    r"\b(?:previous|former|replac|supersed|blanket|frame|contract|quot|offer|your|seller|sales|vendor|project|confirm|cancel|invoice|credit"
    r"|rahmen|vorherig|ersetzt|vertrag|angebot|ihr|verkauf|projekt|storn|rechnung|bestatig"
    r"|precedent|remplac|contrat|cadre|devis|offre|votre|vente|projet|annul|factur|avoir"
    r"|anterior|sustitu|reemplaz|marco|oferta|presupuesto|cotiza|su|venta|proyecto|anul|abono)"
)
_OTHER_DAY = re.compile(
    r"\b(?:valid|until|expir|quot|offer|contract|print|birth|revis|change|modif|cancel|pay|invoice|requisition|last"
    r"|previous|deliver|ship|arriv|need|require|due"
    r"|gultig|bis|ablauf|angebot|vertrag|druck|gedruckt|geander|ander|storn|zahl|fallig|rechnung|anfrage|letzt|liefer"
    r"|wunsch|eingang|jusqu|echeance|devis|offre|contrat|imprim|modifi|annul|paiement|regl|factur|dernier|livr|souhait"
    r"|recep|hasta|venc|oferta|presupuesto|cotiza|contrato|impres|cambi|anul|pago|ultim|entreg|envi|llegad|solicit)"
)


def shaped_number(rows: Sequence[Row]) -> FoundText | None:
    """The only text that looks like the number of an order; None where there are two, or words make it another's."""
    found: list[FoundText] = []
    for at, row in enumerate(rows):
        for place, segment in enumerate(row.segments):
            for match in _NUMBER.finditer(segment.text):
                said = words_at(rows, at, place)
                is_end = segment.text.endswith(match[0])
                if not is_end or _OTHER_NUMBER.search(said) or labels.longest(said, labels.fields()) is not None:
                    return None
                found.append(FoundText(segment.part(match[0]), BELOW))
    return found[0] if len({one.text for one in found}) == 1 else None


def words_at(rows: Sequence[Row], at: int, place: int) -> str:
    """What stands with a value in plain form: in its own text, left of it and above it."""
    segment = rows[at].segments[place]
    left = rows[at].segments[place - 1].text if place else ""
    return " ".join(plain(text) for text in (left, _above(rows, at, segment), segment.text) if text)


def _above(rows: Sequence[Row], at: int, segment: Segment) -> str:
    if not at or rows[at - 1].page != segment.page:
        return ""
    over = [one for one in rows[at - 1].segments if one.left < segment.right and one.right > segment.left]
    return " ".join(one.text for one in over)


def says_other_day(said: str) -> bool:
    """Whether words around a day say that it is not the one of the order."""
    return bool(_OTHER_DAY.search(said))
