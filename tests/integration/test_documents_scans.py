"""PDFs whose pages are text, pictures of text, or both: nothing that stands on a page is passed over."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from producers.documents.limits import Limits
from producers.documents.order import ReadOrder
from producers.documents.pdf import pages
from producers.documents.reasons import RefusedDocument

pytest.importorskip("pdfplumber")
pytest.importorskip("rapidocr")
canvases = pytest.importorskip("reportlab.pdfgen.canvas")
_HEAD = ["Purchase Order 4711", "Date: 2026-03-10", "Customer no.: 4712", "Prices in EUR"]
_TITLES = [(60, "Qty"), (120, "Item no."), (220, "Description"), (400, "Price"), (470, "Amount")]
_ROWS = [("12", "A-1000", "Green Tea", "18.00", "216.00"), ("24", "A-2000", "Brown Sugar", "21.50", "516.00")]


def _draw(canvas: Any, row: tuple[str, ...], *, has_head: bool, height: float = 400) -> None:
    canvas.setFont("Helvetica", 11)
    for place, text in enumerate(_HEAD if has_head else []):
        canvas.drawString(60, height - 40 - 18 * place, text)
    for (left, title), text in zip(_TITLES, row, strict=True):
        canvas.drawString(left, height - 140, title)
        canvas.drawString(left, height - 160, text)


def _picture(row: tuple[str, ...], *, has_head: bool, angle: int = 0) -> Any:
    import pypdfium2

    buffer = BytesIO()
    canvas = canvases.Canvas(buffer, pagesize=(560, 400))
    _draw(canvas, row, has_head=has_head)
    canvas.save()
    with pypdfium2.PdfDocument(buffer.getvalue()) as pdf:
        return pdf[0].render(scale=200 / 72).to_pil().convert("L").rotate(angle, expand=True)


def _pdf(*parts: Any) -> bytes:
    """Of pages that are rows (text), pictures, or pictures with text above them."""
    from reportlab.lib.utils import ImageReader

    buffer = BytesIO()
    canvas = canvases.Canvas(buffer, pagesize=(560, 400))
    for number, part in enumerate(parts):
        for one in part if isinstance(part, list) else [part]:
            if isinstance(one, tuple):
                _draw(canvas, one, has_head=number == 0)
            else:
                canvas.drawImage(ImageReader(one), 0, 0, 560, 400)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _read(content: bytes, limits: Limits | None = None) -> ReadOrder:
    return pages.read_pdf(content, limits or Limits(), None)


def _quantities(read: ReadOrder) -> list[int]:
    return [int(line.quantity or 0) for line in read.lines]


def test_a_scanned_page_behind_a_page_of_text_is_recognised() -> None:
    read = _read(_pdf(_ROWS[0], _picture(_ROWS[1], has_head=False)))
    assert (read.format, read.number, _quantities(read)) == ("scan", "4711", [12, 24])
    [first, second] = (read.evidence[f"lines.{place}.amount"] for place in (0, 1))
    assert (first.recognition, second.recognition < 1) == (1, True)
    assert second.box is not None and second.box.page == 2


def test_text_that_somebody_else_recognised_has_to_be_proved() -> None:
    picture = _picture(_ROWS[0], has_head=True)
    read = _read(_pdf([picture, _ROWS[0]]))
    assert (read.format, _quantities(read)) == ("scan", [12])
    # Without a total nothing says that all lines are there.
    assert read.evidence["lines.0.quantity"].confidence < 0.9
    assert _read(_pdf(_ROWS[0])).evidence["lines.0.quantity"].confidence == 1


def test_a_page_on_its_head_is_turned() -> None:
    read = _read(_pdf(_picture(_ROWS[0], has_head=True, angle=180)))
    assert (read.number, _quantities(read)) == ("4711", [12])
    # People see it lie: nothing is cut out for them at the places of the upright page.
    assert {evidence.box for evidence in read.evidence.values()} == {None}


def test_more_scanned_pages_than_allowed_are_refused_before_they_are_recognised() -> None:
    page = _picture(_ROWS[1], has_head=False)
    with pytest.raises(RefusedDocument) as caught:
        _read(_pdf(_ROWS[0], page, page), Limits(scanned_pages=1))
    assert (caught.value.rule, caught.value.reasons[0].place) == ("pdf.scanned_pages", "page 3")
    with pytest.raises(RefusedDocument) as caught:
        _read(_pdf(_ROWS[0], page), Limits(page_pixels=1_000))
    assert caught.value.rule == "image.pixels"
