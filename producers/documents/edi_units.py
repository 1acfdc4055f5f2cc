"""Units of X12 (element 355) and EDIFACT (6411): one code means different things in them, so each has its own table.

Source: X12 element 355, UNCL 6411, UN/ECE Recommendations 20 and 21.
"""

from __future__ import annotations

from producers.documents.units import unit_of_code

# What X12 means otherwise than Recommendation 20 does, or than order forms do; packages are of Recommendation 21.
_X12 = {
    "ST": "SET", "PA": "XPL", "PH": "XPK", "SH": "XST", "DR": "XDR", "BR": "XBA", "BD": "XBE", "EV": "XEN", "TB": "XTU",
    "TY": "XPU", "VI": "XVI", "LO": "XLT", "GS": "GRO", "TH": "MIL", "CF": "FTQ", "CY": "YDQ", "CR": "MTQ", "SY": "YDK",
    "SI": "INK", "CI": "INQ", "TO": "APZ", "ME": "MGM", "FO": "OZA", "CW": "CWA", "DA": "DAY", "WK": "WEE", "MO": "MON",
    "YR": "ANN", "KT": "KT", "AS": "AS",
}  # fmt: skip
# Neither Recommendation 20 nor its users agree on them: sheet, set or piece; pail or pallet; tin or ton.
_UNCLEAR = {"edifact": frozenset({"ST", "PL", "TN"}), "x12": frozenset({"BT", "RO", "ZZ"})}
_UNCLEAR_WORDS = "it means different things to different senders"


def edifact_unit(code: str) -> tuple[str | None, str | None]:
    """The unit of a code of EDIFACT, and what is to be asked about it; no unit where it is no code at all."""
    return _unit(code, "edifact", None)


def x12_unit(code: str) -> tuple[str | None, str | None]:
    """The unit of a code of X12, and what is to be asked about it; no unit where it is no code at all."""
    return _unit(code, "x12", _X12.get(code.strip().upper()))


def _unit(code: str, form: str, own: str | None) -> tuple[str | None, str | None]:
    if own is not None:
        return own, None
    question = _UNCLEAR_WORDS if code.strip().upper() in _UNCLEAR[form] else None
    return unit_of_code(code), question
