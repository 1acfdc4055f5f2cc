"""Why a document is refused: rule, place and words, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from re import ASCII
from re import compile as pattern

from schemas.errors import InvalidMessage


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong."""

    rule: str
    message: str
    place: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.place}: {self.message}"


class RefusedDocument(InvalidMessage):
    """A document, or one order of it, that cannot be read; `reasons` names everything that was found."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("; ".join(map(str, reasons)), rule=reasons[0].rule, field=reasons[0].place)
        self.reasons = list(reasons)


def refused(rule: str, message: str, place: str) -> RefusedDocument:
    """The refusal for one reason."""
    return RefusedDocument([Reason(rule, message, place)])


class Findings:
    """Collects reasons while a document is read, so that its sender hears all of them."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self.warnings: list[str] = []

    def add(self, rule: str, message: str, place: str) -> None:
        """Note a reason."""
        self.reasons.append(Reason(rule, message, place))

    def warn(self, rule: str, message: str, place: str) -> None:
        """Note what is worth knowing and no reason to refuse."""
        self.warnings.append(str(Reason(rule, message, place)))

    def check(self) -> None:
        """Raise RefusedDocument if there are reasons."""
        if self.reasons:
            raise RefusedDocument(self.reasons)

    def decimal(self, text: str | None, rule: str, place: str) -> Decimal | None:
        """An exact number, or None with a reason."""
        if text is None or not text.strip():
            return None
        if not _DECIMAL.fullmatch(text.strip()):
            self.add(rule, f"{text[:40]!r} is no decimal number", place)
            return None
        try:
            return Decimal(text.strip())
        except InvalidOperation:
            self.add(rule, f"{text[:40]!r} is no decimal number", place)
            return None

    def day(self, text: str | None, rule: str, place: str, form: str = "YYYY-MM-DD") -> date | None:
        """A date that exists, in the form YYYY-MM-DD or YYYYMMDD (or YYMMDD); or None with a reason."""
        if text is None or not text.strip():
            return None
        found = _FORMS[form].fullmatch(text.strip())
        if found is not None:
            year, month, day = (int(part) for part in found.groups())
            try:
                return date(year if year > 99 else 2000 + year, month, day)
            except ValueError:
                pass
        self.add(rule, f"{text[:40]!r} is no date of the form {form}", place)
        return None


_DECIMAL = pattern(r"[+-]?(?:\d{1,18}(?:\.\d{0,12})?|\.\d{1,12})", ASCII)
_FORMS = {
    "YYYY-MM-DD": pattern(r"(\d{4})-(\d\d)-(\d\d)(?:Z|[+-]\d\d:\d\d)?", ASCII),
    "YYYYMMDD": pattern(r"(\d{4})(\d\d)(\d\d)", ASCII),
    "YYMMDD": pattern(r"(\d\d)(\d\d)(\d\d)", ASCII),
}
