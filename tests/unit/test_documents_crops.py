"""Pictures of where fields were read show just that, and no document harms whoever asks for them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import run as ordersync
from producers.documents.crops.bounded import Bounds, Crops, crops_of
from producers.documents.limits import Limits
from producers.documents.order import Box, Evidence, Kind, ReadOrder
from producers.documents.pdf import pages
from tests.benchmarks.document_layouts import LAYOUTS, Printing, order_of
from tests.unit.document_desk import DocumentDesk

Image = pytest.importorskip("PIL.Image", reason="pictures need ordersync[documents]")
pypdf = pytest.importorskip("pypdf", reason="pictures need ordersync[documents]")
FORM_BOMB_LEVELS = 12


def printed(language: str = "en") -> bytes:
    """An order as somebody prints it."""
    layout = LAYOUTS[0]
    return Printing(order_of(layout, language, 1), layout, language).print()


def read_at(form: str, **boxes: Box) -> ReadOrder:
    """An order whose fields were read at these places."""
    evidence = {name: Evidence("text", "page", box=box) for name, box in boxes.items()}
    return ReadOrder(Kind.ORDER, form, evidence=evidence)


def darkness(picture: bytes) -> int:
    """How many dark grey dots a picture has; the line around the place is red and does not count."""
    with Image.open(BytesIO(picture)) as image:
        assert image.format == "PNG"
        dots = image.convert("RGB").tobytes()
    return sum(max(dots[at : at + 3]) < 100 for at in range(0, len(dots), 3))


def around(picture: bytes) -> tuple[int, int, int, int]:
    """The corners of the red line."""
    with Image.open(BytesIO(picture)) as image:
        red = image.convert("RGB")
    wide, _ = red.size
    dots = red.tobytes()
    places = [at // 3 for at in range(0, len(dots), 3) if dots[at : at + 3] == b"\xc8\x00\x28"]
    assert places, "no line around the place"
    columns, rows = [place % wide for place in places], [place // wide for place in places]
    return min(columns), min(rows), max(columns), max(rows)


def inside(picture: bytes) -> int:
    """How many dark dots stand within the line."""
    with Image.open(BytesIO(picture)) as image:
        piece = BytesIO()
        image.crop(around(picture)).save(piece, "PNG")
    return darkness(piece.getvalue())


def test_every_field_of_a_page_has_its_picture() -> None:
    content = printed("de")
    read = pages.read_pdf(content, Limits(), None)
    crops = crops_of(content, read)
    assert crops.problem is None and set(crops.pictures) == set(read.evidence) and len(read.evidence) > 9
    assert all(inside(picture) > 10 for picture in crops.pictures.values()), "the text stands within the line"


def word_pdf(word: str) -> bytes:
    """A sheet with one word on it."""
    from reportlab.pdfgen.canvas import Canvas

    written = BytesIO()
    canvas = Canvas(written, pagesize=(600, 400))
    canvas.setFont("Helvetica", 20)
    canvas.drawString(400, 300, word)
    canvas.save()
    return written.getvalue()


def turned(content: bytes, rotation: int, crop: tuple[int, int, int, int] | None, shift: int) -> bytes:
    """The same sheet turned, seen in part, or measured from elsewhere."""
    writer = pypdf.PdfWriter(BytesIO(content))
    page = writer.pages[0]
    page.mediabox.lower_left = (shift, shift / 2)
    if crop is not None:
        page.cropbox = pypdf.generic.RectangleObject(crop)
    page.rotate(rotation)
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (350, 250, 590, 390), (10, 10, 100, 100)])
@pytest.mark.parametrize("shift", [0, -40])
def test_place_is_found_on_any_sheet(rotation: int, crop: tuple[int, int, int, int] | None, shift: int) -> None:
    content = turned(word_pdf("WAREHOUSE"), rotation, crop, shift)
    [[segment]] = pages.look_into_pdf(content, Limits()).words.values()
    assert segment.box is not None
    crops = crops_of(content, read_at("pdf", word=segment.box))
    assert crops.problem is None and inside(crops.pictures["word"]) > 20
    assert inside(crops.pictures["word"]) == darkness(crops.pictures["word"]), "all of it within the line"


def two_pages_tiff() -> bytes:
    white, black = Image.new("RGB", (400, 300), "white"), Image.new("RGB", (400, 300), "white")
    black.paste((0, 0, 0), (200, 100, 260, 130))
    written = BytesIO()
    white.save(written, "TIFF", save_all=True, append_images=[black])
    return written.getvalue()


def test_picture_of_a_scan_is_cut_out_of_the_scan() -> None:
    at = Box(2, 200 * 72 / 200, 100 * 72 / 200, 260 * 72 / 200, 130 * 72 / 200)
    crops = crops_of(two_pages_tiff(), read_at("scan", stamp=at, other=replace(at, page=1)))
    assert crops.problem is None
    assert inside(crops.pictures["stamp"]) > 60 * 30 * 0.9
    assert darkness(crops.pictures["other"]) == 0


ON_PAGE = Box(1, 50, 50, 90, 60)


def form_bomb(first: bytes | None = None) -> bytes:
    """A page whose picture is drawn ten to the twelfth times over; behind another page, if there is one."""
    writer = pypdf.PdfWriter() if first is None else pypdf.PdfWriter(BytesIO(first))
    inner = None
    for level in range(FORM_BOMB_LEVELS):
        form: Any = pypdf.generic.StreamObject()
        form.set_data(b"/F Do " * 10 if level else b"0 0 m 500 500 l S ")
        names: dict[str, Any] = {"/Type": "/XObject", "/Subtype": "/Form"}
        form.update({pypdf.generic.NameObject(key): pypdf.generic.NameObject(one) for key, one in names.items()})
        form[pypdf.generic.NameObject("/BBox")] = pypdf.generic.RectangleObject((0, 0, 500, 500))
        if inner is not None:
            form[pypdf.generic.NameObject("/Resources")] = resources_of(inner)
        inner = writer._add_object(form)
    page = writer.add_blank_page(500, 500)
    page[pypdf.generic.NameObject("/Resources")] = resources_of(inner)
    content: Any = pypdf.generic.StreamObject()
    content.set_data(b"/F Do " * 10)
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(content)
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


def resources_of(form: Any) -> Any:
    names = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/F"): form})
    return pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/XObject"): names})


def test_page_that_is_never_done_costs_what_it_may_and_no_more() -> None:
    bounds = Bounds(seconds=3)
    assert crops_of(form_bomb(), read_at("pdf", number=ON_PAGE), bounds) == Crops(
        {}, "drawing the document took more than it may use: look at the original, with care"
    )
    words = word_pdf("WAREHOUSE")
    [[segment]] = pages.look_into_pdf(words, Limits()).words.values()
    assert segment.box is not None
    read = read_at("pdf", later=Box(2, 50, 50, 90, 60), good=segment.box)
    crops = crops_of(form_bomb(words), read, bounds)
    assert set(crops.pictures) == {"good"} and crops.problem is not None, "what was drawn before is kept"


def image_of(size: tuple[int, int]) -> bytes:
    written = BytesIO()
    Image.new("1", size).save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"%PDF-1.7\n%%EOF", "cannot be drawn"),
        (printed()[:700], "cannot be drawn"),
        (b"%PDF-" + bytes(range(256)) * 400, "cannot be drawn"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 1_000, "cannot be drawn"),
        (image_of((30_000, 30_000)), "cannot be drawn"),
        (b"\xff\xd8\xff" + b"\x00" * 100, "cannot be drawn"),
        (b"UNA:+.? 'UNB+UNOC", "it has no pages"),
        (b"", "it has no pages"),
    ],
)
def test_what_cannot_be_drawn_is_told(content: bytes, told: str) -> None:
    crops = crops_of(content, read_at("pdf", number=ON_PAGE))
    assert crops.pictures == {} and crops.problem is not None and told in crops.problem


@pytest.mark.parametrize(
    "box",
    [
        Box(0, 50, 50, 90, 60),
        Box(-1, 50, 50, 90, 60),
        Box(9, 50, 50, 90, 60),
        Box(1, 5_000, 50, 5_090, 60),
        Box(1, -900, -900, -890, -890),
        Box(1, float("nan"), 50, 90, 60),
        Box(1, float("-inf"), 0, float("inf"), 9),
    ],
)
def test_place_that_is_on_no_page_has_no_picture_and_harms_no_other(box: Box) -> None:
    crops = crops_of(printed(), read_at("pdf", nowhere=box, somewhere=ON_PAGE))
    assert set(crops.pictures) == {"somewhere"}


def test_page_as_large_as_a_wall_is_drawn_small() -> None:
    wall = turned(word_pdf("WALL"), 0, None, 0)
    writer = pypdf.PdfWriter(BytesIO(wall))
    writer.pages[0].mediabox.upper_right = (100_000, 100_000)
    written = BytesIO()
    writer.write(written)
    crops = crops_of(written.getvalue(), read_at("pdf", all=Box(1, 0, 0, 100_000, 100_000)))
    with Image.open(BytesIO(crops.pictures["all"])) as image:
        assert image.width * image.height <= 8_100_000


def test_many_places_end_with_the_output_and_leave_what_was_made() -> None:
    boxes = {f"n{number}": ON_PAGE for number in range(400)}
    crops = crops_of(printed(), read_at("pdf", **boxes), Bounds(written_bytes=100_000))
    assert 0 < len(crops.pictures) < 400 and crops.problem is not None
    assert sum(map(len, crops.pictures.values())) <= 100_000
    assert len(crops_of(printed(), read_at("pdf", **boxes), Bounds(pictures=3)).pictures) == 3


def test_drawing_process_opens_nothing() -> None:
    told = (
        "import resource, socket\n"
        "from producers.documents.isolation import __main__ as drawing\n"
        "drawing.give_up(1 << 30, 20)\n"
        "for opened in (lambda: open('/etc/passwd'), socket.socket):\n"
        "    try:\n"
        "        opened()\n"
        "    except OSError as exc:\n"
        "        print(exc.errno)\n"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[1], resource.getrlimit(resource.RLIMIT_AS)[1])\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", told], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["24", "24", "20", str(1 << 30)], "EMFILE, both times; processor time and memory"


def test_command_line_tells_places_and_writes_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = DocumentDesk(tmp_path)
    desk.take(printed(), "order.pdf")
    [review] = desk.register.reviews()
    desk.close()
    asked = ["review", "show", "--documents-dir", str(tmp_path), review.id]
    assert ordersync(asked) == 0
    told = capsys.readouterr().out
    number = review.read.evidence["number"]
    assert number.box is not None and f"number {review.read.number}: {number.text!r} at page 1, " in told
    assert "points, confidence 1.00" in told and "lines.0.quantity" in told
    picture, folder = tmp_path / "crop.png", tmp_path / "all"
    assert ordersync([*asked, "--crop", "total", "-o", str(picture)]) == 0
    assert inside(picture.read_bytes()) > 10, "`total` is `totals.gross` in the document"
    assert ordersync([*asked, "-o", str(folder)]) == 0
    assert {path.stem for path in folder.iterdir()} == set(review.read.evidence)
    assert ordersync([*asked, "--crop", "note", "-o", str(picture)]) == 2
    assert ordersync([*asked, "--crop", "number"]) == 2
    assert "there is no picture of note" in capsys.readouterr().err
