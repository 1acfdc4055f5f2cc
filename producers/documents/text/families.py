"""Labels that nobody listed, by the words that they are made of: `families.toml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from producers.documents.text.vocabulary import pattern_of, vocabulary

_MOST_WORDS = 5
_REMEMBERED = 4_096
"""Phrases come from documents of strangers: all of them together would fill the memory."""


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    needs: tuple[re.Pattern[str], ...]

    def fits(self, words: list[str], glue: re.Pattern[str]) -> bool:
        """Whether each need is met, and each word meets one or binds the others."""
        known = all(glue.fullmatch(word) or any(need.fullmatch(word) for need in self.needs) for word in words)
        return known and all(any(need.fullmatch(word) for word in words) for need in self.needs)


@cache
def _file() -> tuple[re.Pattern[str], dict[str, list[_Family]]]:
    told = vocabulary("families.toml")
    tables = {
        table: [_Family(one["name"], tuple(pattern_of(need.split()) for need in one["needs"])) for one in families]
        for table, families in told.items()
        if table != "glue"
    }
    return pattern_of(told["glue"].split()), tables


@lru_cache(_REMEMBERED)
def family_of(table: str, phrase: str) -> str | None:
    """What a plain phrase of `fields`, `columns`, `totals` or `titles` means; None where its words do not tell."""
    words = phrase.split()
    if not words or len(words) > _MOST_WORDS or any(mark.isdigit() for mark in phrase):
        return None
    glue, tables = _file()
    return next((one.name for one in tables[table] if one.fits(words, glue)), None)
