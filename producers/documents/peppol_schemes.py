"""What identifiers of companies look like, by their scheme (ISO 6523 ICD, EAS), and their check digits.

Source: Peppol BIS 3, rules PEPPOL-COMMON-R040 to R057, edition 2026-05.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Check = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class SchemeRule:
    """How identifiers of one scheme are formed."""

    id: str
    words: str
    is_sound: Check
    is_fatal: bool = True
    endpoint_only: bool = False


def _form(pattern: str) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def is_gln(text: str) -> bool:
    """Whether it is a GLN: 13 digits, the last of which proves the others."""
    if re.fullmatch(r"\d{13}", text, re.ASCII) is None:
        return False
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(text[:12]))
    return (10 - weighted % 10) % 10 == int(text[12])


def _is_norwegian(text: str) -> bool:
    if re.fullmatch(r"\d{9}", text, re.ASCII) is None or not int(text):
        return False
    weighted = sum(int(digit) * (place % 6 + 2) for place, digit in enumerate(reversed(text[:8])))
    return (11 - weighted % 11) % 11 == int(text[8])


def _is_belgian(text: str) -> bool:
    if re.fullmatch(r"\d{10}", text, re.ASCII) is None:
        return False
    return 97 - int(text[:8]) % 97 == int(text[8:])


def _is_swedish(text: str) -> bool:
    if re.fullmatch(r"\d{10}", text, re.ASCII) is None:
        return False
    doubled = [int(digit) * (1 if place % 2 else 2) for place, digit in enumerate(reversed(text[:9]))]
    return (10 - sum(number // 10 + number % 10 for number in doubled) % 10) % 10 == int(text[9])


def _is_australian(text: str) -> bool:
    if re.fullmatch(r"\d{11}", text, re.ASCII) is None:
        return False
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    digits = [int(digit) - (place == 0) for place, digit in enumerate(text)]
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True)) % 89 == 0


def _is_italian_vat(text: str) -> bool:
    if text[:2].upper() != "IT":
        return True
    digits = text[2:]
    if re.fullmatch(r"\d{11}", digits, re.ASCII) is None:
        return False
    folded = [int(digit) if place % 2 == 0 else int("0246813579"[int(digit)]) for place, digit in enumerate(digits)]
    return sum(folded) % 10 == 0


_TAX_CODE = _form(r"[A-Za-z]{6}\d\d[A-Za-z]\d\d.{3}\d[A-Za-z]|\d{11}")
DUTCH_VAT = _form(r"NL\d{9}B\d\d")
SCHEMES: dict[str, SchemeRule] = {
    "0088": SchemeRule("R040", "GLN (GS1 check digit)", is_gln),
    "0192": SchemeRule("R041", "Norwegian organisation number", _is_norwegian),
    "0184": SchemeRule("R042", "Danish CVR number", _form(r"DK\d{8}|\d{8}")),
    "0208": SchemeRule("R043", "Belgian enterprise number", _is_belgian),
    "0201": SchemeRule("R044", "Italian IPA code", _form(r"[A-Za-z0-9]{6}"), is_fatal=False),
    "0210": SchemeRule("R045", "Italian tax code", _TAX_CODE, is_fatal=False),
    "9907": SchemeRule("R046", "Italian tax code", _TAX_CODE, is_fatal=False, endpoint_only=True),
    "0211": SchemeRule("R047", "Italian VAT number", _is_italian_vat, is_fatal=False),
    "0007": SchemeRule("R049", "Swedish organisation number", _is_swedish),
    "0151": SchemeRule("R050", "Australian business number", _is_australian),
    "0096": SchemeRule("R052", "Danish P number", _form(r"\d{10}")),
    "0198": SchemeRule("R053", "Danish SE number", _form(r"DK\d{8}")),
    "0106": SchemeRule("R054", "Dutch KVK number", _form(r"\d{8}"), is_fatal=False),
    "0190": SchemeRule("R055", "Dutch organisation number", _form(r"\d{20}"), is_fatal=False),
    "9944": SchemeRule("R056-1", "Dutch VAT number", DUTCH_VAT, is_fatal=False),
    "0217": SchemeRule("R057", "Dutch establishment number", _form(r"\d{12}"), is_fatal=False),
}
