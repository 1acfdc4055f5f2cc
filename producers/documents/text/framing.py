# ruff: noqa: E501 - patterns of words are read in one line each
"""Words around what is ordered in a letter that change nothing of it: `framing.toml`. All others are for a person."""

from __future__ import annotations

import re
from functools import cache

from producers.documents.text.vocabulary import pattern_of, vocabulary
from producers.documents.text.words import plain

_NAME = (
    r"(?:[A-ZÀ-Ý][\w'-]*\.?|all|team|together|everyone|zusammen|à|tous|toutes|l'équipe|equipo|a|todos|and|und|et|y|e)"
)
_SALUTED = re.compile(
    r"\A\s*(?i:hi|hello|dear|hallo|moin|liebe[rs]?|sehr geehrte[rs]?|guten (?:morgen|tag|abend)|good (?:morning|afternoon|evening)|"
    r"bonjour|bonsoir|ch[eè]re?s?|hola|buen[oa]s (?:d[ií]as|tardes|noches)|estimad[oa]s?)"
    rf"(?:\s+{_NAME}){{0,4}}\s*(?:[,:!.]|\n|\Z)",
)
"""Names of those who are greeted are no news."""


@cache
def _known() -> re.Pattern[str]:
    return pattern_of(sorted({word for words in vocabulary("framing.toml").values() for word in words.split()}))


def without_salutation(text: str) -> str:
    """The text without the name of whom it greets."""
    return _SALUTED.sub("", text, count=1)


def strange_words(text: str) -> list[str]:
    """What stands there and was not understood, in its order."""
    return [word for word in plain(text).split() if not _known().fullmatch(word)]
