"""PostgreSQL's text form of arrays, read into (nested) lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_MAX_DIMENSIONS: Final = 6
_BOUNDS = re.compile(r"(?:\[[+-]?\d+:[+-]?\d+\])+=")


def parse_array(text: str, element: Callable[[bytes], object], delimiter: str = ",") -> list[object]:
    """`{1,2,NULL}` as a list; inner arrays become inner lists, the elements go through `element`.

    Raises ValueError if the text is no array.
    """
    bounds = _BOUNDS.match(text)
    start = bounds.end() if bounds else 0
    stack: list[list[object]] = []
    token = re.compile(rf'"((?:[^"\\]|\\.)*)"|([^"{{}}\\{re.escape(delimiter)}]+)|([{{}}{re.escape(delimiter)}])', re.S)
    result: list[object] | None = None
    expects_value = True
    at = start
    while at < len(text):
        match = token.match(text, at)
        if match is None or result is not None:
            raise ValueError(f"not an array at character {at}")
        at = match.end()
        quoted, plain, mark = match.groups()
        if mark == "{":
            if not expects_value or len(stack) == _MAX_DIMENSIONS:
                raise ValueError(f"unexpected {{ at character {at - 1}")
            inner: list[object] = []
            if stack:
                stack[-1].append(inner)
            stack.append(inner)
        elif mark == "}":
            if not stack or (expects_value and stack[-1]):
                raise ValueError(f"unexpected }} at character {at - 1}")
            closed = stack.pop()
            result = None if stack else closed
            expects_value = False
        elif mark is not None:
            if expects_value or not stack:
                raise ValueError(f"unexpected delimiter at character {at - 1}")
            expects_value = True
        else:
            if not expects_value or not stack:
                raise ValueError(f"unexpected value at character {match.start()}")
            stack[-1].append(_element(quoted, plain, element))
            expects_value = False
    if result is None:
        raise ValueError("the array is cut off")
    return result


def _element(quoted: str | None, plain: str | None, element: Callable[[bytes], object]) -> object:
    if quoted is not None:
        return element(re.sub(r"\\(.)", r"\1", quoted, flags=re.S).encode())
    if plain is None or plain == "NULL":
        return None
    return element(plain.encode())
