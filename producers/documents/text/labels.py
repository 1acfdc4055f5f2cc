"""What the fields, columns and totals of an order are called in English, German, French and Spanish: `labels.toml`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache

from producers.documents.text.families import family_of
from producers.documents.text.vocabulary import vocabulary
from producers.documents.text.words import plain

LANGUAGES = ("en", "de", "fr", "es")

Phrases = Mapping[str, list[tuple[str, str]]]
"""Phrase to what it may mean, each with its language."""


@cache
def _file() -> dict[str, dict[str, dict[str, list[str]]]]:
    return vocabulary("labels.toml")


@cache
def _phrases(table: str) -> Phrases:
    found: dict[str, list[tuple[str, str]]] = {}
    for name, languages in _file()[table].items():
        for language, phrases in languages.items():
            for phrase in phrases:
                found.setdefault(plain(phrase), []).append((name, language))
    return found


def fields() -> Phrases:
    """Labels of header fields."""
    return _phrases("fields")


def columns() -> Phrases:
    """Titles of columns."""
    return _phrases("columns")


def totals() -> Phrases:
    """Labels of totals."""
    return _phrases("totals")


def titles() -> Phrases:
    """Titles of documents."""
    return _phrases("titles")


def meanings_of(table: str, phrase: str) -> list[tuple[str, str]]:
    """What a whole plain phrase may mean in a table of this module: as listed, else by its words, of no language."""
    listed = _phrases(table).get(phrase)
    if listed is not None:
        return listed
    name = family_of(table, phrase)
    return [] if name is None else [(name, "")]


def longest(text: str, phrases: Phrases) -> tuple[str, list[tuple[str, str]]] | None:
    """The longest phrase that a plain text begins with, at the end of a word."""
    words = text.split()
    for count in range(min(len(words), 6), 0, -1):
        phrase = " ".join(words[:count])
        if phrase in phrases:
            return phrase, phrases[phrase]
    return None


def language_of(texts: Iterable[str]) -> str | None:
    """The language that most labels of a document are of; None where two have as many."""
    votes: Counter[str] = Counter()
    for text in texts:
        for table in (fields(), columns(), totals(), titles()):
            found = longest(plain(text), table)
            if found is not None:
                languages = {language for _, language in found[1]}
                # What is the same in several languages tells little.
                for language in languages:
                    votes[language] += 6 // len(languages)
    ranked = [one for one in votes.most_common(2) if one[0] in LANGUAGES]
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
