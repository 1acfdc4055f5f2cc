"""Who may read and write what, told from the rights that the servers have now, with the most private attribute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, get_args

import psycopg

from schemas.attributes import CLASSIFICATIONS, CanonicalModel
from schemas.errors import Fatal
from schemas.grants import EVERY, Grant, Operation, ResourceKind
from schemas.settings import DatabaseSettings
from schemas.topics import CATALOGUE

_HOLDERS = """
    SELECT rolname::text,
           has_database_privilege(oid, current_database(), 'CONNECT'),
           EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace
                   AND c.relkind IN ('r', 'p') AND has_table_privilege(r.oid, c.oid, 'SELECT')),
           EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = 'public'::regnamespace
                   AND c.relkind IN ('r', 'p') AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE'))
      FROM pg_catalog.pg_roles r WHERE rolcanlogin ORDER BY rolname
"""


@dataclass(frozen=True, slots=True)
class Access:
    """One topic or database, and who may do what there now."""

    where: str
    classification: str
    readers: tuple[str, ...]
    writers: tuple[str, ...]


def topic_access(grants: Iterable[Grant]) -> list[Access]:
    """Each topic of the catalogue, with the rights that were read from the brokers."""
    held = [grant for grant in grants if grant.kind is ResourceKind.TOPIC]
    return [
        Access(
            topic.name,
            classification_of(topic.model),
            _holders(held, topic.name, Operation.READ),
            _holders(held, topic.name, Operation.WRITE),
        )
        for topic in CATALOGUE.values()
    ]


def database_access(database: DatabaseSettings) -> Access:
    """One database, as its server decides it now. Raises `Fatal` where it does not answer."""
    try:
        with closing(psycopg.connect(database.conninfo(connect_timeout="10"))) as session:
            rows = session.execute(_HOLDERS).fetchall()
    except psycopg.Error as exc:
        raise Fatal(f"asking who may do what in {database.dbname}: {exc}") from exc
    readers = tuple(str(name) for name, enters, reads, _ in rows if enters and reads)
    writers = tuple(str(name) for name, enters, _, writes in rows if enters and writes)
    return Access(f"database {database.dbname}", "personal", readers, writers)


def classification_of(model: type[CanonicalModel]) -> str:
    """The most private classification that an attribute of the model has, parts included."""
    return max(_classifications(model, frozenset()), key=CLASSIFICATIONS.index, default=model.classification)


def _classifications(model: type[CanonicalModel], seen: frozenset[type]) -> Iterator[str]:
    for field in model.model_fields.values():
        extra: Any = field.json_schema_extra or {}
        yield extra.get("classification", model.classification)
        for part in _models(field.annotation):
            if part not in seen:
                yield from _classifications(part, seen | {model, part})


def _models(annotation: Any) -> Iterator[type[CanonicalModel]]:
    if isinstance(annotation, type) and issubclass(annotation, CanonicalModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _holders(grants: Iterable[Grant], topic: str, operation: Operation) -> tuple[str, ...]:
    return tuple(
        sorted({grant.principal for grant in grants if grant.operation is operation and _covers(grant, topic)})
    )


def _covers(grant: Grant, topic: str) -> bool:
    return topic.startswith(grant.resource) if grant.prefixed else grant.resource in (topic, EVERY)
