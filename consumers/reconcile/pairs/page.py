"""A comparison as one HTML page that needs nothing else: for screens, screen readers and paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from pathlib import Path

from consumers.reconcile.pairs.result import PairReport
from consumers.reconcile.pairs.tables import opened

_STYLE = """
:root { color-scheme: light; }
body { font: 1rem/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; margin: 2rem auto; max-width: 80rem;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2rem; }
.verdict { font-size: 1.15rem; font-weight: 600; padding: .6rem 1rem; border: 2px solid; border-radius: .3rem; }
.equal { color: #0b5a2b; } .differs { color: #8f1414; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; padding: .3rem 0; }
th, td { border-bottom: 1px solid #767676; padding: .25rem .5rem; text-align: left; vertical-align: top; }
td { overflow-wrap: break-word; max-width: 24rem; } th[scope=row] { white-space: nowrap; }
 .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr.differs td, tr.differs th { background: #fdecec; }
:focus-visible { outline: 3px solid #0b4fad; outline-offset: 2px; }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { font-size: 9pt; margin: 0; max-width: none; padding: 0; } .scroll { overflow: visible; }
  td { overflow-wrap: anywhere; }
  thead { display: table-header-group; } tr { break-inside: avoid; } h2 { break-after: avoid; }
}
"""


def write_page(report: PairReport, path: Path) -> None:
    """Write the page. Raises ConfigurationError where the file cannot be written."""
    with opened(path) as file:
        file.write(page_of(report))


def page_of(report: PairReport) -> str:
    """The page; every text of the systems is escaped."""
    title = f"{report.left} and {report.right} compared"
    facts = {
        "Left": report.left,
        "Right": report.right,
        "Compared": report.terms,
        "Begun": f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "Orders": f"{report.left_orders:,} on the left, {report.right_orders:,} on the right",
        "Differing orders": f"{report.differing_orders:,}",
        "Differences": f"{report.differences:,}",
    }
    described = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    verdict = "equal" if report.is_equal else "differs"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n<h1>{escape(title)}</h1>\n"
        f'<p class="verdict {verdict}">{escape(report.summary())}</p>\n<dl>{described}</dl>\n'
        f"{_totals(report)}{_differences(report)}</main></body></html>\n"
    )


def _totals(report: PairReport) -> str:
    heads = (
        "Period", "Currency", "Status", "Measure",
        f"Orders, {report.left}", f"Amount, {report.left}", f"Orders, {report.right}", f"Amount, {report.right}",
        "Right less left", "Equal",
    )  # fmt: skip
    rows = (
        _row(
            [*(part or "not known" for part in key)],
            [
                f"{total.left_orders:,}",
                _money(total.left_amount),
                f"{total.right_orders:,}",
                _money(total.right_amount),
                _money(total.right_amount - total.left_amount),
            ],
            ["yes" if total.is_equal else "no"],
            differs=not total.is_equal,
        )
        for key, total in report.sorted_totals()
    )
    caption = "By month of the order's date of issue, currency and status."
    return f'<h2 id="totals">Control totals</h2>\n{_table("totals", caption, heads, 4, 5, rows)}'


def _differences(report: PairReport) -> str:
    if report.is_equal:
        return ""
    shown = report.shown
    heads = ("Order", "Kind", "Field", report.left, report.right, "Amount", "Currency")
    rows = (
        _row(
            [one.order_id, one.kind, one.field or "the whole order", one.left or "nothing", one.right or "nothing"],
            ["" if one.amount is None else _money(one.amount)],
            [one.currency_code or ""],
            differs=False,
        )
        for one in shown
    )
    caption = "Every difference."
    if len(shown) < report.differences:
        caption = f"The {len(shown):,} of most money of {report.differences:,}; the CSV file holds all."
    return f'<h2 id="differences">Differences</h2>\n{_table("differences", caption, heads, 5, 1, rows)}'


def _table(name: str, caption: str, heads: Sequence[str], texts: int, numbers: int, rows: Iterable[str]) -> str:
    cells = "".join(
        f'<th scope="col"{_NUMBER if texts <= place < texts + numbers else ""}>{escape(head)}</th>'
        for place, head in enumerate(heads)
    )
    # Who has no mouse scrolls a wide table by its own focus.
    return (
        f'<div class="scroll" role="region" aria-labelledby="{name}" tabindex="0"><table><caption>{escape(caption)}'
        f"</caption><thead><tr>{cells}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody></table></div>\n"
    )


_NUMBER = ' class="number"'


def _row(texts: Sequence[str], numbers: Sequence[str], last: Sequence[str], *, differs: bool) -> str:
    first = f'<th scope="row">{escape(texts[0])}</th>'
    rest = "".join(f"<td>{escape(text)}</td>" for text in texts[1:])
    counted = "".join(f"<td{_NUMBER}>{escape(text)}</td>" for text in numbers)
    ended = "".join(f"<td>{escape(text)}</td>" for text in last)
    kind = ' class="differs"' if differs else ""
    return f"<tr{kind}>{first}{rest}{counted}{ended}</tr>\n"


def _money(amount: Decimal) -> str:
    """At least two decimals, and more where there are more."""
    return f"{amount:,.2f}" if amount == round(amount, 2) else f"{amount.normalize():,f}"
