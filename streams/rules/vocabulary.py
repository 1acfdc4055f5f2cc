"""Small code lists that several rules share."""

from __future__ import annotations

STATUSES = ("placed", "confirmed", "completed", "cancelled")
"""What an order may be in the system that sells."""

TAX_CATEGORIES = frozenset(
    "A AA AB AC AD AE B C D E F G H I J K L M N O S Z".split()  # noqa: SIM905 - as the standard prints it
)
"""UN/ECE 5305, duty or tax or fee category codes."""

UNTAXED_CATEGORIES = frozenset({"Z", "E", "AE", "K", "G", "O"})
"""Categories whose rate is zero: EN 16931 BR-Z-05, BR-E-05, BR-AE-05, BR-IC-05, BR-G-05, BR-O-05."""

TAXED_CATEGORIES = frozenset({"S", "AA", "H"})
"""Categories whose rate is more than zero: standard (EN 16931 BR-S-05), lower and higher rate."""

COUNTED_UNITS = frozenset({"C62", "EA", "H87", "PCE", "NAR", "NPR", "SET", "DZN", "XBX", "XPX"})
"""Units of which there are no parts: one, each, piece, article, pair, set, dozen, box, pallet."""

EU_COUNTRIES = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)
"""Member states of the European Union, ISO 3166-1 alpha-2."""
