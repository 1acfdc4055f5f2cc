"""Reads XML without ever resolving anything: no document type, no entities, nothing from outside; places are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from producers.documents.limits import Limits
from producers.documents.reasons import refused


@dataclass(slots=True)
class Node:
    """One element with its place in the text, from 1."""

    namespace: str
    name: str
    attributes: dict[str, str]
    line: int
    column: int
    path: str
    text: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def place(self) -> str:
        """For people: where it stands and what it is."""
        return f"line {self.line}, column {self.column} ({self.path})"

    def all(self, path: str) -> Iterator[Node]:
        """Each element below, by local names: `Party/PostalAddress`."""
        head, _, rest = path.partition("/")
        for child in self.children:
            if child.name == head:
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def first(self, path: str) -> Node | None:
        """The first of them."""
        return next(self.all(path), None)

    def value(self, path: str) -> str | None:
        """The text of the first, without space around it; None where it is empty or missing."""
        found = self.first(path)
        return None if found is None else found.stripped

    @property
    def stripped(self) -> str | None:
        """Its own text, or None."""
        return self.text.strip() or None

    def walk(self) -> Iterator[Node]:
        """Itself and all below, in the order of the document."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def parse(content: bytes, limits: Limits) -> Node:
    """The root element.

    Raises:
        RefusedDocument: not well-formed, with a document type or entities, or beyond a limit.
    """
    return _Reading(limits).read(content)


class _Reading:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: list[Node] = []
        self._root: Node | None = None
        self._count = 0
        parser = self._parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.ExternalEntityRefHandler = self._entity
        parser.SkippedEntityHandler = self._entity

    def read(self, content: bytes) -> Node:
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as exc:
            place = f"line {exc.lineno}, column {exc.offset + 1}"
            raise refused("xml.well_formed", expat.ErrorString(exc.code), place) from exc
        except (LookupError, ValueError) as exc:
            raise refused("xml.encoding", f"the encoding cannot be read: {exc}", self._place()) from exc
        assert self._root is not None
        return self._root

    def _place(self) -> str:
        return f"line {self._parser.CurrentLineNumber}, column {self._parser.CurrentColumnNumber + 1}"

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > self._limits.elements:
            raise refused("xml.elements", f"more than {self._limits.elements:,} elements", self._place())
        if len(self._open) >= self._limits.depth:
            raise refused("xml.depth", f"elements nested deeper than {self._limits.depth}", self._place())
        namespace, _, name = tag.rpartition(" ")
        parent = self._open[-1] if self._open else None
        path = name if parent is None else f"{parent.path}/{name}"
        named = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        node = Node(namespace, name, named, line, column, path)
        if parent is None:
            self._root = node
        else:
            parent.children.append(node)
        self._open.append(node)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _doctype(self, *_: Any) -> None:
        told = "a document type declaration is not allowed; send the document without it"
        raise refused("xml.doctype", told, self._place())

    def _entity(self, *_: Any) -> int:
        raise refused("xml.entity", "entities are not allowed; send the document without them", self._place())
