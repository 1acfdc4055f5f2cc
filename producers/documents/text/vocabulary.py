"""The files of words beside these modules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from typing import Any


def vocabulary(name: str) -> dict[str, Any]:
    """The content of a file such as `labels.toml`; each caller keeps what it makes of it."""
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """One of the words; `*` stands for any ending."""
    return re.compile("|".join(word.replace("*", r"\w*") for word in words))
