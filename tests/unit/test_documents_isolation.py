"""A document that takes more than it may is refused with the rule, and the next one is read."""

from __future__ import annotations

import os
import signal
import zlib
from io import BytesIO
from pathlib import Path

import pytest

from producers.documents.isolation import template
from producers.documents.limits import Limits
from producers.documents.reading import Reader
from producers.documents.reasons import Reason, RefusedDocument
from producers.documents.source import Source
from tests.unit.test_documents_crops import Image, form_bomb, printed, pypdf

BOUNDED = Limits(reading_seconds=2, reading_memory_bytes=512 * 1024 * 1024)


def reader(limits: Limits = BOUNDED) -> Reader:
    return Reader(Source(name="post", kind="folder", path=Path("/nowhere"), system="shop"), limits)


def reason_of(content: bytes, limits: Limits = BOUNDED) -> Reason:
    """Why it is refused; and a healthy document is read after it."""
    with pytest.raises(RefusedDocument) as caught:
        reader(limits).read(content)
    [order] = reader().read(printed()).orders
    assert order.number is not None and order.lines
    return caught.value.reasons[0]


def page_of(stream: bytes) -> bytes:
    """A PDF with one page whose content is this stream, compressed already."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(500, 500)
    content = pypdf.generic.StreamObject()
    content._data = stream
    content[pypdf.generic.NameObject("/Filter")] = pypdf.generic.NameObject("/FlateDecode")
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(content)
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


def unfolding(size_bytes: int) -> bytes:
    """So many spaces, compressed."""
    packing, made = zlib.compressobj(1), bytearray()
    for _ in range(size_bytes >> 20):
        made += packing.compress(b" " * (1 << 20))
    return bytes(made + packing.flush())


def test_a_page_that_is_never_done_is_refused_with_the_bound() -> None:
    reason = reason_of(form_bomb())
    assert reason.rule == "pdf.too_expensive"
    assert "2 s" in reason.message and "ORDERSYNC_LIMITS__READING_SECONDS" in reason.message


def test_a_page_that_unfolds_to_more_than_the_memory_is_refused() -> None:
    reason = reason_of(page_of(unfolding(1 << 30)), Limits(reading_memory_bytes=512 * 1024 * 1024))
    assert reason.rule == "pdf.too_expensive" and "ORDERSYNC_LIMITS__READING_MEMORY_BYTES" in reason.message


def test_an_image_that_needs_more_than_the_memory_is_refused() -> None:
    written = BytesIO()
    Image.new("1", (13_000, 13_000)).save(written, "PNG")
    assert reason_of(written.getvalue()).rule == "image.pixels"
    allowed = Limits(page_pixels=1_000_000_000, reading_memory_bytes=512 * 1024 * 1024)
    assert reason_of(written.getvalue(), allowed).rule == "image.too_expensive"


@pytest.mark.parametrize("content", [printed()[:700], b"%PDF-1.7\n%%EOF", b"%PDF-" + bytes(range(256)) * 400])
def test_what_is_damaged_is_refused_as_that(content: bytes) -> None:
    assert reason_of(content).rule == "pdf.damaged"
    assert reason_of(b"\x89PNG\r\n\x1a\n" + b"\xff" * 1_000).rule == "image.damaged"


def test_more_words_than_allowed_are_refused() -> None:
    reason = reason_of(printed(), Limits(words=10))
    assert (reason.rule, reason.place) == ("pdf.words", "page 1")


def test_characters_of_asia_are_known_though_no_file_can_be_opened() -> None:
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfgen.canvas import Canvas

    from producers.documents.pdf.pages import look_into_pdf

    registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    written = BytesIO()
    canvas = Canvas(written)
    canvas.setFont("HeiseiMin-W3", 12)
    canvas.drawString(100, 700, "注文書")
    canvas.save()
    [[word]] = look_into_pdf(written.getvalue(), Limits()).words.values()
    assert word.text == "注文書"


def test_template_that_somebody_has_ended_is_started_again() -> None:
    assert reader().read(printed()).orders
    process = template._TEMPLATE._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert reader().read(printed()).orders
    assert template._TEMPLATE._process is not process
