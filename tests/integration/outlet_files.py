"""The nightly files of the outlet shops of the guide, as a small business would deliver them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

MAPPING = Path(__file__).parents[2] / "deploy" / "guide" / "outlet.toml"
_COIN = Decimal("0.01")
_SALES = ("order_no", "status", "ordered_on", "currency", "customer_no", "remark", "payable")
_LINES = ("line_no", "product_no", "quantity", "price")


@dataclass(frozen=True)
class Sale:
    """One order with its lines (product, quantity, price); `off_by` makes its total wrong."""

    number: str
    lines: Sequence[tuple[str, str, str]] = (("P1", "2", "10"),)
    remark: str = ""
    customer: str = "7"
    off_by: str = "0"
    status: str = "new"

    @property
    def order_id(self) -> str:
        """As on the topics."""
        return f"outlet:{self.number}"

    def rows(self) -> Iterable[dict[str, str]]:
        """One for each line."""
        nets = [Decimal(quantity) * Decimal(price) for _, quantity, price in self.lines]
        taxes = [(net * Decimal("0.19")).quantize(_COIN, ROUND_HALF_UP) for net in nets]
        payable = sum(nets) + sum(taxes) + Decimal(self.off_by)
        header = (self.number, self.status, "2026-11-20", "eur", self.customer, self.remark, f"{payable}")
        for number, line in enumerate(self.lines, 1):
            yield dict(zip(_SALES + _LINES, (*header, str(number), *line), strict=True))


def write_sales(path: Path, sales: Iterable[Sale], as_of: datetime | None = None) -> Path:
    """One file of sales; `as_of` is what its modification time will say."""
    return write_rows(path, [*_SALES, *_LINES], [row for sale in sales for row in sale.rows()], as_of)


def write_customers(path: Path, numbers: Iterable[str], as_of: datetime | None = None) -> Path:
    """One file of customers."""
    rows = [{"customer_no": number, "name": f"Shop {number}", "country": "DE"} for number in numbers]
    return write_rows(path, ["customer_no", "name", "country"], rows, as_of)


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]], as_of: datetime | None = None
) -> Path:
    """One CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    if as_of is not None:
        os.utime(path, (as_of.timestamp(), as_of.timestamp()))
    return path
