"""How well orders are read from documents: `make bench-documents`, with ARGS="--kind pdf --layout plain --seed 7"."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from producers.documents.drafting import Draft, Drafting
from producers.documents.identification import no_alias
from producers.documents.limits import Limits
from producers.documents.masters import Masters
from producers.documents.order import Kind, ReadOrder
from producers.documents.reading import Reader
from producers.documents.reasons import RefusedDocument
from producers.documents.source import Source
from tests.benchmarks.document_forms import FORMS, Form, order_on, printed
from tests.benchmarks.document_layouts import (
    LANGUAGES,
    LAYOUTS,
    Layout,
    Printing,
    TrueOrder,
    masters_of,
    order_of,
    scanned,
)
from tests.benchmarks.document_mails import Mail, mail_masters_of, mails

_REAL = Path(__file__).parents[2].parent / "shared" / "data" / "documents"
_SOURCE = Source.model_validate(
    {"name": "bench", "kind": "folder", "path": "/nowhere", "system": "shop", "date_order": "DMY"}
)

_UNDATED = _SOURCE.model_copy(update={"date_order": None})


@dataclass(slots=True)
class Score:
    """What was found of what is there, over many documents."""

    documents: int = 0
    accepted: int = 0
    wrong: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    pages: int = 0
    doubts: Counter[str] = field(default_factory=Counter)

    def f1(self, counted: Counter[str]) -> float:
        """Harmonic mean of precision and recall."""
        wrong = 2 * counted["right"] + counted["wrong"] + counted["missing"]
        return 2 * counted["right"] / wrong if wrong else 1.0

    def line(self, name: str) -> str:
        """For people."""
        share, pace = self.accepted / max(1, self.documents), self.seconds / max(1, self.pages)
        found = (
            f"field F1 {self.f1(self.fields):.4f}  line F1 {self.f1(self.lines):.4f}" if self.lines else "order nothing"
        )
        flown = f"straight through {share:6.1%}  accepted wrongly {self.wrong}  {pace:.2f} s a page"
        return f"{name:<30} {self.documents:>4} documents  {found}  {flown}"


@dataclass(frozen=True, slots=True)
class Case:
    """One document, and what it says."""

    order: TrueOrder
    layout: Layout | Form | Mail
    language: str
    group: str
    """Under which it is counted."""
    content: bytes
    source: Source = _SOURCE


def facts_of_truth(order: TrueOrder, layout: Layout | Form | Mail) -> dict[str, str]:
    """The header fields that the document prints."""
    if isinstance(layout, Mail):
        told = {"number": order.number, "issue_date": str(order.issued), "customer": order.customer.id}
        return told | ({"delivery_date": str(order.delivery)} if layout.has_delivery else {})
    facts = {
        "number": order.number,
        "issue_date": str(order.issued),
        "delivery_date": str(order.delivery),
        "currency": order.currency,
    }
    amounts = {"charge": order.shipping, "net": order.net, "tax": order.tax, "gross": order.net + order.tax}
    facts |= {name: f"{amounts[name]:.2f}" for name in layout.totals if name in amounts}
    if "lines" in layout.totals:
        facts["lines"] = f"{order.net - order.shipping:.2f}"
    return facts | {"customer": order.customer.id}


def facts_of_reading(read: ReadOrder, draft: Draft) -> dict[str, str]:
    """The same fields as they were read."""
    found: dict[str, Any] = {
        "number": read.number,
        "issue_date": read.issue_date,
        "delivery_date": read.delivery_date,
        "currency": read.currency,
        "customer": draft.customer_id,
    }
    amounts = {
        "lines": read.line_total,
        "charge": read.charge or None,
        "net": read.net_total,
        "tax": read.tax_total,
        "gross": read.payable,
    }
    found |= {name: f"{amount:.2f}" for name, amount in amounts.items() if amount is not None}
    return {name: str(value) for name, value in found.items() if value is not None}


def count(truth: dict[str, str] | Counter[Any], found: dict[str, str] | Counter[Any], into: Counter[str]) -> None:
    """Right, wrong and missing."""
    if isinstance(truth, Counter) and isinstance(found, Counter):
        right = sum((truth & found).values())
        into.update(right=right, wrong=sum(found.values()) - right, missing=sum(truth.values()) - right)
        return
    right = sum(1 for name, value in truth.items() if dict(found).get(name) == value)
    into.update(right=right, wrong=len(found) - right, missing=len(truth) - right)


def judge(case: Case, masters: Masters, score: Score, *, tell: bool) -> None:
    """Read one document and compare."""
    order, layout = case.order, case.layout
    began = time.perf_counter()
    score.documents += 1
    truth = facts_of_truth(order, layout)
    told = [(line.price, line.amount) if layout.has_prices else (None, None) for line in order.lines]
    lines = Counter(
        (line.product.name, Decimal(line.quantity), *amounts) for line, amounts in zip(order.lines, told, strict=True)
    )
    try:
        read = _read(case)
    except RefusedDocument as exc:
        if isinstance(layout, Mail) and not layout.is_order:
            return
        score.fields["missing"] += len(truth)
        score.lines["missing"] += sum(lines.values())
        score.doubts[exc.rule] += 1
        if tell:
            print(f"    refused: {exc}")
        return
    finally:
        score.seconds += time.perf_counter() - began
        score.pages += 1 + len(order.lines) // 45
    draft = Drafting(read, case.source, masters, no_alias).draft()
    found = facts_of_reading(read, draft)
    if "net" in truth and "net" not in found and "lines" not in truth and "lines" in found:
        # Without charges both are one amount, by whatever name.
        found["net"] = found.pop("lines")
    if not isinstance(layout, Mail) or layout.is_order:
        count(truth, found, score.fields)
    read_lines = Counter((line.name, line.quantity, line.price, line.amount) for line in read.lines)
    if not isinstance(layout, Mail) or layout.is_order:
        count(lines, read_lines, score.lines)
    if tell and truth != found:
        other = [name for name in truth | found if truth.get(name) != found.get(name)]
        print(f"    fields: {[(name, truth.get(name), found.get(name)) for name in other]}")
    if tell and lines != read_lines:
        print(f"    lines: missing {list(lines - read_lines)[:3]}, read {list(read_lines - lines)[:3]}")
    if draft.order is None or draft.doubts or read.kind is not Kind.ORDER:
        score.doubts.update({doubt.rule for doubt in draft.doubts})
        if tell:
            print(f"    doubts: {[(doubt.rule, doubt.where, doubt.message) for doubt in draft.doubts][:4]}")
        return
    score.accepted += 1
    if _is_taken_wrongly(case, draft):
        score.wrong += 1
        print(f"    ACCEPTED WRONGLY: {order.number} {layout.name}: {draft.order}")


def _read(case: Case) -> ReadOrder:
    reader = Reader(case.source, Limits())
    if not isinstance(case.layout, Mail):
        [read] = reader.read(case.content).orders
        return read
    found = reader.read_any(case.content)
    if not found.orders:
        raise found.problems[0]
    [read] = found.orders
    return read


def _is_taken_wrongly(case: Case, draft: Draft) -> bool:
    """Of e-mails also one that orders nothing, and one whose day of delivery was lost."""
    if not isinstance(case.layout, Mail):
        return is_wrong(case.order, draft)
    assert draft.order is not None
    wanted = case.order.delivery if case.layout.has_delivery else None
    lost = draft.order.requested_delivery_date != wanted
    return not case.layout.is_order or lost or is_wrong(case.order, draft)


def is_wrong(order: TrueOrder, draft: Draft) -> bool:
    """Whether what would flow by itself is not what the document says."""
    made = draft.order
    assert made is not None
    head = (made.id or "").replace("~2F", "/") == order.number and made.issue_date == order.issued
    head = head and made.buyer_customer_party_id == order.customer.id and made.document_currency_code == order.currency
    head = head and made.requested_delivery_date in (order.delivery, None)
    told = Counter(
        (line.product_id, Decimal(line.quantity), Decimal(line.line_extension_amount or 0)) for line in made.order_lines
    )
    return not head or told != Counter((line.product.id, Decimal(line.quantity), line.amount) for line in order.lines)


def documents(arguments: argparse.Namespace) -> Iterator[Case]:
    """Each layout in each language, as text and as scan; each form in its usual and in unusual wordings."""
    for layout in LAYOUTS:
        if arguments.layout not in (None, layout.name) or (arguments.tuned and layout.is_unseen):
            continue
        for language in LANGUAGES:
            order = order_of(layout, language, arguments.seed)
            pdf = Printing(order, layout, language).print()
            split = "unseen layouts" if layout.is_unseen else "tuned layouts"
            if arguments.kind in ("pdf", "both"):
                yield Case(order, layout, language, f"pdf, {split}", pdf)
            if arguments.kind in ("scan", "both"):
                yield Case(order, layout, language, f"scan, {split}", scanned(pdf, arguments.seed))
    if arguments.kind in ("forms", "scanned-forms") and not arguments.tuned:
        yield from forms(arguments)
    if arguments.kind == "mails" and not arguments.tuned:
        yield from _mails(arguments)


def forms(arguments: argparse.Namespace) -> Iterator[Case]:
    """Each form in each language and split of wordings."""
    for form in FORMS:
        if arguments.layout not in (None, form.name):
            continue
        for language in LANGUAGES:
            order = order_on(form, language, arguments.seed)
            for split in arguments.words:
                content = printed(order, form, language, split, arguments.seed)
                if arguments.kind == "scanned-forms":
                    content = scanned(content, arguments.seed)
                yield Case(order, form, language, f"{arguments.kind}, {split} words", content, _UNDATED)


def _mails(arguments: argparse.Namespace) -> Iterator[Case]:
    """E-mails of each language and split of sentences: orders, and what must wait."""
    for language in LANGUAGES:
        for split in arguments.words:
            for is_order in (True, False):
                group = f"mails {language}, {split}, {'orders' if is_order else 'must wait'}"
                for mail in mails(language, split, arguments.seed, arguments.count, is_order=is_order):
                    yield Case(mail.order, mail, language, group, mail.content, _UNDATED)


def main() -> int:
    """Print the figures; the exit code is 0 only if nothing was accepted wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=("pdf", "scan", "both", "forms", "scanned-forms", "mails"), default="both")
    parser.add_argument("--layout", help="the name of one layout or form")
    parser.add_argument("--words", nargs="+", choices=("shown", "hidden"), default=["shown", "hidden"])
    parser.add_argument("--count", type=int, default=50, help="how many e-mails of each language, list and kind")
    parser.add_argument("--tuned", action="store_true", help="only layouts that the rules were tuned on")
    parser.add_argument("--tell", action="store_true", help="print what differs")
    arguments = parser.parse_args()
    customers, products = (mail_masters_of if arguments.kind == "mails" else masters_of)(arguments.seed)
    masters = Masters(customers, products)
    scores: dict[str, Score] = defaultdict(Score)
    for case in documents(arguments):
        if arguments.tell:
            print(f"{case.layout.name} {case.language} {case.group}")
        judge(case, masters, scores[case.group], tell=arguments.tell)
    for name in sorted(scores):
        print(scores[name].line(name))
        if scores[name].doubts:
            print(f"{'':<30} waited for: {dict(scores[name].doubts.most_common(6))}")
    refused = real_documents()
    return 1 if refused or any(score.wrong for score in scores.values()) else 0


def real_documents() -> int:
    """Business documents that are no orders must not become some; gives how many did."""
    if not _REAL.exists():
        print(f"{_REAL} is not there: no real documents were read")
        return 0
    taken = 0
    for path in sorted(_REAL.iterdir()):
        if path.suffix not in (".pdf", ".edi", ".xml"):
            continue
        try:
            told = f"{len(Reader(_SOURCE, Limits()).read(path.read_bytes()).orders)} order(s)"
            taken += path.name.startswith("invoice")
        except RefusedDocument as exc:
            told = exc.rule
        print(f"{path.name:<30} {told}")
    return taken


if __name__ == "__main__":
    sys.exit(main())
