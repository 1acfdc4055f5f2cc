"""A comparison as CSV (RFC 4180): a file of every difference, written as they are found, and one of totals."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from consumers.reconcile.attributes import text_of
from consumers.reconcile.pairs.result import ControlTotal, Difference, PairReport, TotalKey
from schemas.errors import ConfigurationError

DIFFERENCE_COLUMNS = ("order_id", "kind", "field", "left", "right", "amount", "currency_code")
TOTAL_COLUMNS = (
    *TotalKey._fields, "left_orders", "left_amount", "right_orders", "right_amount", "difference_amount", "equal",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class DifferenceFile:
    """Every difference, in no order, as it is heard; what was there before is replaced only when all is written."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError where the file cannot be written."""
        self.path = path
        self._unfinished = path.with_name(f"{path.name}.part")
        self._file = opened(self._unfinished)
        self._rows = csv.writer(self._file)
        self._rows.writerow(DIFFERENCE_COLUMNS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            self._unfinished.replace(self.path)
        else:
            self._unfinished.unlink()

    def add(self, one: Difference) -> None:
        """Write one difference."""
        amount = "" if one.amount is None else text_of(one.amount)
        texts = (one.order_id, one.kind, one.field, one.left, one.right)
        self._rows.writerow([*(cell(text) for text in texts), amount, one.currency_code or ""])


def totals_path(path: Path) -> Path:
    """Where the control totals stand beside a file of differences: `cutover.totals.csv` beside `cutover.csv`."""
    return path.with_name(f"{path.stem}.totals.csv")


def write_totals(report: PairReport, path: Path) -> None:
    """Write the control totals. Raises ConfigurationError where the file cannot be written."""
    with opened(path) as file:
        rows = csv.writer(file)
        rows.writerow(TOTAL_COLUMNS)
        rows.writerows(_total_row(key, total) for key, total in report.sorted_totals())


def cell(text: str | None) -> str:
    """A text that no spreadsheet takes for a formula; numbers stay as they are. Source: OWASP, CSV injection."""
    if text is None:
        return ""
    is_number = text.lstrip("+-").replace(".", "", 1).isdecimal()
    return f"'{text}" if text.startswith(_FORMULA) and not is_number else text


def opened(path: Path) -> IO[str]:
    """A file for writing, in UTF-8 and with its own ends of lines.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written: {exc.strerror}; name another file") from exc


def _total_row(key: TotalKey, total: ControlTotal) -> list[str | int]:
    return [
        *(cell(part) for part in key),
        total.left_orders,
        text_of(total.left_amount),
        total.right_orders,
        text_of(total.right_amount),
        text_of(total.right_amount - total.left_amount),
        "true" if total.is_equal else "false",
    ]
