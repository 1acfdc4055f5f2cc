"""Numbers and dates of EDIFACT segments, as the interchange writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from producers.documents.edi import Segment
from producers.documents.reasons import Findings

# UNCL 2379: how many digits of the text are the day.
_FORMS = {"102": 8, "203": 8, "204": 8, "303": 8, "718": 8, "719": 8, "101": 6, "201": 6, "202": 6}
_PERIODS = {"718": 8, "719": 12}


@dataclass(frozen=True, slots=True)
class Values:
    """Reads what one message holds; what is no value becomes a finding."""

    decimal: str
    """The decimal mark of the service string."""
    findings: Findings

    def number(self, segment: Segment, element: int, component: int) -> Decimal | None:
        """A number; ISO 9735 allows point and comma, whatever the service string says."""
        text = segment[element, component]
        if self.decimal != ".":
            text = text.replace(self.decimal, ".")
        return self.findings.decimal(text.replace(",", "."), "edifact.number", segment.at(element, component))

    def is_day(self, segment: Segment) -> bool:
        """Whether the form of a DTM names a day: others are weeks, months, times of day."""
        return (segment[1, 3] or "102") in _FORMS

    def day(self, segment: Segment) -> date | None:
        """The day of a DTM; of a period the end, which is what is asked for at the latest."""
        text, form = segment[1, 2], segment[1, 3] or "102"
        length = _FORMS.get(form)
        if length is None:
            self.findings.add("edifact.date", f"format {form!r} (UNCL 2379) is no date", segment.at(1, 3))
            return None
        if form in _PERIODS:
            text = text[len(text) // 2 :].lstrip("-")
        name = "YYYYMMDD" if length == 8 else "YYMMDD"
        return self.findings.day(text[:length], "edifact.date", segment.at(1, 2), name)
