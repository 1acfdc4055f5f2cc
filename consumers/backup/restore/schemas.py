"""The schemas of a backup: to read its values without a registry, and to register them in a new one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from consumers.backup.archive.surroundings import SubjectVersion
from schemas.codec.wire import HEADER_LENGTH, frame
from schemas.errors import UndecodableMessage
from schemas.registry import SchemaRegistry


class ArchivedSchemas:
    """The registry of the time of the backup, for codecs."""

    def __init__(self, subjects: Iterable[SubjectVersion]) -> None:
        self._schemas = {one.schema_id: json.loads(one.schema_text) for one in subjects}

    def id_of(self, subject: str, schema: dict[str, Any]) -> int:
        """The id of `schema`; one that no message has where the backup does not know it."""
        known = (schema_id for schema_id, held in self._schemas.items() if held == schema)
        return next(known, max(self._schemas, default=0) + 1)

    def schema_of(self, schema_id: int) -> dict[str, Any]:
        """The schema with that id. Raises `UndecodableMessage` where there is none."""
        try:
            found: dict[str, Any] = self._schemas[schema_id]
        except KeyError as exc:
            raise UndecodableMessage(f"the backup has no schema {schema_id}", rule="unknown_schema") from exc
        return found


def register_all(registry: SchemaRegistry, subjects: Iterable[SubjectVersion], prefix: str) -> dict[int, int]:
    """Register every schema, oldest first; gives the ids that differ in this registry: old -> new.

    Raises:
        SchemaDrift: the registry holds another, incompatible history of a subject.
        Transient: it is away.
    """
    found: dict[int, int] = {}
    for one in sorted(subjects, key=lambda one: (one.subject, one.version)):
        new = registry.register(prefix + one.subject, json.loads(one.schema_text))
        if new != one.schema_id:
            found[one.schema_id] = new
    return found


def with_new_ids(values: Sequence[bytes | None], changed: Mapping[int, int]) -> Sequence[bytes | None]:
    """The values with the ids of their schemas as the new registry knows them; others than the wire format stay."""
    if not changed:
        return values
    beginnings = {frame(old): frame(new) for old, new in changed.items()}
    new_beginning = beginnings.get
    return [
        value
        if value is None or (beginning := new_beginning(value[:HEADER_LENGTH])) is None
        else beginning + value[HEADER_LENGTH:]
        for value in values
    ]
