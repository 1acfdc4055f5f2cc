"""Interchanges in every character set of ISO 9735, and what is broken in their signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from producers.documents.reading import media_of
from tests.unit import document_samples as samples
from tests.unit.test_documents_structured import one, refusals

_EDIFACT = samples.edifact_order().decode("latin-1")
_X12 = samples.x12_order().decode()


@pytest.mark.parametrize(
    ("name", "codec", "word"),
    [
        ("UNOA", "ascii", "CHAI"),
        ("UNOB", "ascii", "Chai"),
        ("UNOC", "iso-8859-1", "Käse"),
        ("UNOD", "iso-8859-2", "Łosoś"),
        ("UNOE", "iso-8859-5", "Чай"),
        ("UNOF", "iso-8859-7", "τσάι"),
        ("UNOG", "iso-8859-3", "Ĉajo"),
        ("UNOH", "iso-8859-4", "Tēja"),
        ("UNOI", "iso-8859-6", "شاي"),
        ("UNOJ", "iso-8859-8", "תה"),
        ("UNOK", "iso-8859-9", "Çay"),
        ("UNOW", "utf-8", "茶"),
        ("UNOY", "utf-8", "Чай 茶"),
        ("UNOC", "utf-16", "Käse 茶"),
        ("UNOA", "utf-8", "Käse"),
    ],
)
def test_texts_of_every_character_set_are_read(name: str, codec: str, word: str, tmp_path: Path) -> None:
    text = _EDIFACT.replace("UNOC", name).replace(":::Chai'", f":::{word}'")
    # Many name UNOA and send UTF-8; that is tried where the named set does not fit.
    assert one(text.encode(codec), tmp_path).lines[0].name == word


@pytest.mark.parametrize("codec", ["utf-16", "utf-8-sig", "latin-1", "utf-8"])
def test_x12_is_read_with_any_mark(codec: str, tmp_path: Path) -> None:
    content = _X12.replace("****Chai~", "****Käse~").encode(codec)
    assert media_of(content) == "x12"
    assert one(content, tmp_path).lines[0].name == "Käse"


def test_released_marks_are_signs_of_the_text(tmp_path: Path) -> None:
    text = _EDIFACT.replace(":::Chai'", ":::5?' ?+ 3?: what??'")
    assert one(text.encode("latin-1"), tmp_path).lines[0].name == "5' + 3: what?"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (_EDIFACT.replace("UNOC", "UNOX").encode("latin-1"), "edifact.charset"),
        (_EDIFACT.replace("UNZ+1+77'", "UNZ+1+77?'").encode("latin-1"), "edifact.terminator"),
        (b"UNA:+.?'" + _EDIFACT.encode("latin-1"), "edifact.una"),
        (b"UNA::.? '" + _EDIFACT.encode("latin-1"), "edifact.una"),
        (_EDIFACT.encode("utf-16")[:-7], "edifact.terminator"),
        (_EDIFACT.replace("QTY+21:12:", "QTY+21:1.234,5:").encode("latin-1"), "edifact.number"),
        (_EDIFACT.replace("QTY+21:12:", "QTY+21:1 2:").encode("latin-1"), "edifact.number"),
        (_EDIFACT.replace("QTY+21:12:", "QTY+21:" + "9" * 40 + ":").encode("latin-1"), "edifact.number"),
        (_EDIFACT.replace("QTY+21:12:", "QTY+21:١٢:").encode(), "edifact.number"),
        (_X12.replace("PO1*1*12*EA*18.00", "PO1*1*12*EA*18,00").encode(), "x12.number"),
        (_X12.replace("PO1*1*12*EA", "PO1*1*-12*EA").encode(), "x12.quantity"),
        (_X12.replace("ISA*00*", "ISA*00*00*").encode(), "x12.isa"),
        (_X12.encode("utf-16")[:-9], "x12.terminator"),
    ],
)
def test_signs_that_cannot_be_read_are_named(content: bytes, rule: str, tmp_path: Path) -> None:
    reasons = refusals(content, tmp_path).reasons
    assert rule in [reason.rule for reason in reasons] and all(reason.place for reason in reasons)
