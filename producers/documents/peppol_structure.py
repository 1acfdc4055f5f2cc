"""The rules of structure and codes of Peppol BIS, as a table: which elements and attributes there are and must be.

`peppol_structure.txt` has a rule a line (id, kind, element, argument), `peppol_codes.txt` the code lists. Source:
Peppol BIS 3, edition 2026-05, transactions T01, T114, T115, and T76 and T16 for what is written to partners.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from producers.documents.reasons import Reason
from producers.documents.xml_tree import Node

Kind = Literal["child", "only", "attribute", "no_attribute", "code", "attribute_code", "value"]
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class StructureRule:
    """One rule about one element; `words` are the names, codes or values that it is about."""

    id: str
    kind: Kind
    element: str
    words: tuple[str, ...]


@cache
def code_lists() -> dict[str, frozenset[str]]:
    """Every code list by its name."""
    lists: dict[str, set[str]] = {}
    for line in _lines("peppol_codes.txt"):
        name, *codes = line.split()
        lists.setdefault(name, set()).update(codes)
    return {name: frozenset(codes) for name, codes in lists.items()}


@cache
def structure_rules(transaction: str) -> dict[str, list[StructureRule]]:
    """The rules of a transaction such as `T01`, by the path of the element that they are about."""
    rules: dict[str, list[StructureRule]] = {}
    for line in _lines("peppol_structure.txt"):
        number, kind, element, *words = line.split()
        if number.split("-")[1] == transaction:
            rule = StructureRule(number, kind, element, tuple(words))  # type: ignore[arg-type]
            rules.setdefault(element, []).append(rule)
    return rules


def _lines(name: str) -> list[str]:
    text = (_HERE / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def violations(root: Node, transaction: str) -> Iterator[tuple[StructureRule | None, Reason]]:
    """Every violation in the order of the document; without rule the one that holds for each element."""
    rules = structure_rules(transaction)
    for node in root.walk():
        if not node.children and node.stripped is None:
            yield None, Reason("PEPPOL-COMMON-R001", f"{node.name} is empty", node.place)
        for rule in rules.get(node.path, ()):
            for message, at in _broken(rule, node):
                yield rule, Reason(rule.id, message, at.place)


def _broken(rule: StructureRule, node: Node) -> Iterator[tuple[str, Node]]:
    word, text = rule.words[0], node.stripped or ""
    if rule.kind == "child" and node.first(word) is None:
        yield f"{node.name} without {word}", node
    elif rule.kind == "only":
        for child in node.children:
            if child.name not in rule.words:
                yield f"{child.name} is no element of {node.name} in this document", child
    elif rule.kind == "attribute" and word not in node.attributes:
        yield f"{node.name} without attribute {word}", node
    elif rule.kind == "no_attribute" and word in node.attributes:
        yield f"{node.name} has the attribute {word}", node
    elif rule.kind == "value" and text != word:
        yield f"{node.name} is {text!r}, not {word!r}", node
    elif rule.kind == "code" and text not in code_lists()[word]:
        yield f"{text[:40]!r} is not in the code list {word}", node
    elif rule.kind == "attribute_code":
        stated = node.attributes.get(word)
        if stated is not None and stated not in code_lists()[rule.words[1]]:
            yield f"{word} {stated[:40]!r} is not in the code list {rule.words[1]}", node
