# ruff: noqa: E501 - tables of words are read in one line each
"""Numbers in words, one to ninety-nine and hundred, in English, German, French and Spanish."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "en": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "de": "ein zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn funfzehn sechzehn siebzehn achtzehn neunzehn",
    "fr": "un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf",
    "es": "uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis diecisiete dieciocho diecinueve",
}  # fmt: skip
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "de": "zwanzig dreissig vierzig funfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt trente quarante cinquante soixante",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
}
_HUNDRED = "hundred hundert einhundert cent cien"
ONES = frozenset(["a", "an", "ein", "eine", "einen", "einem", "einer", "un", "une", "una", "uno", "one"])
"""Articles as well."""


def _joined(language: str, ten: str, unit: str, value: int) -> str:
    if language == "de":
        return f"{unit}und{ten}"
    if language == "es":
        return f"{ten}-y-{unit}" if ten != "veinte" else f"veinti{unit}"
    return f"{ten}-et-{unit}" if language == "fr" and value == 1 else f"{ten}-{unit}"


def _words() -> dict[str, Decimal]:
    found = dict.fromkeys(_HUNDRED.split(), Decimal(100)) | dict.fromkeys(ONES, Decimal(1))
    for language, words in _UNITS.items():
        units = words.split()
        for value, unit in enumerate(units, 1):
            found[unit] = Decimal(value)
        for place, ten in enumerate(_TENS[language].split(), 2):
            found[ten] = Decimal(10 * place)
            for value, unit in enumerate(units[:9], 1):
                found[_joined(language, ten, unit, value)] = Decimal(10 * place + value)
    return found


WORDS = _words()
"""Plain word, its parts joined by hyphens, to its value."""
_PARTS = re.compile(
    r"\b(treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|vingt|trente|quarante|cinquante|soixante)"
    r"\s+(y|et)\s+(un[oa]?|une|dos|tres|cuatro|cinco|seis|siete|ocho|nueve)\b",
    re.IGNORECASE,
)


def joined(text: str) -> str:
    """With numbers of several words as one word: `treinta-y-seis`, nobody takes the end of one for the whole."""
    return _PARTS.sub(r"\1-\2-\3", text)
