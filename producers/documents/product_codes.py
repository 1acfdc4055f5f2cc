"""The numbers of a product in a line of EDI, told apart by whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from producers.documents.order import ReadLine

Owner = Literal["seller", "buyer", "standard", "maker", "none"]


@dataclass(slots=True)
class ProductCodes:
    """Of one line. `owners` is by the standard's qualifier; `none` is of what is no product number."""

    line: ReadLine
    owners: Mapping[str, Owner]
    _maker: str | None = None
    _spare: str | None = None

    def take(self, code: str, qualifier: str) -> None:
        """One number; the first of each owner counts."""
        line, owner = self.line, self.owners.get(qualifier)
        if not code or owner == "none":
            return
        if owner == "seller":
            line.seller_code = line.seller_code or code
        elif owner == "buyer":
            line.buyer_code = line.buyer_code or code
        elif owner == "standard":
            line.standard_code = line.standard_code or code
        elif owner == "maker":
            self._maker = self._maker or code
        else:
            self._spare = self._spare or code

    def end(self) -> None:
        """The maker's number stands for the seller's; one whose owner is not known only where there is no other."""
        self.line.seller_code = self.line.seller_code or self._maker
        if not self.line.codes:
            self.line.seller_code = self._spare


def owners(**qualifiers: str) -> dict[str, Owner]:
    """The table of a standard: the words of each owner are its qualifiers."""
    known: tuple[Owner, ...] = ("seller", "buyer", "standard", "maker", "none")
    return {word: owner for owner in known for word in qualifiers.get(owner, "").split()}
