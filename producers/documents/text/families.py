"""Labels that nobody listed, by the words that they are made of: `families.toml`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_MOST_WORDS = 5


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    needs: tuple[re.Pattern[str], ...]

    def fits(self, words: list[str], glue: re.Pattern[str]) -> bool:
        """Whether each need is met, and each word meets one or binds the others."""
        known = all(glue.fullmatch(word) or any(need.fullmatch(word) for need in self.needs) for word in words)
        return known and all(any(need.fullmatch(word) for word in words) for need in self.needs)


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile("|".join(word.replace("*", r"\w*") for word in words.split()))


@cache
def _file() -> tuple[re.Pattern[str], dict[str, list[_Family]]]:
    told = tomllib.loads(files(__package__).joinpath("families.toml").read_text(encoding="utf-8"))
    tables = {
        table: [_Family(one["name"], tuple(map(_pattern, one["needs"]))) for one in families]
        for table, families in told.items()
        if table != "glue"
    }
    return _pattern(told["glue"]), tables


@cache
def family_of(table: str, phrase: str) -> str | None:
    """What a plain phrase of `fields`, `columns`, `totals` or `titles` means; None where its words do not tell."""
    words = phrase.split()
    if not words or len(words) > _MOST_WORDS or any(mark.isdigit() for mark in phrase):
        return None
    glue, tables = _file()
    return next((one.name for one in tables[table] if one.fits(words, glue)), None)
