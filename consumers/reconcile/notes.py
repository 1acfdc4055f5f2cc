"""Notes that triggers in a sink's database take of changes which the sink did not make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, NamedTuple

from psycopg import sql

from consumers.postgres.database import Database, Rows
from consumers.reconcile.rows import Row
from schemas.attributes import Instant
from schemas.errors import ConfigurationError, Transient
from schemas.settings import DatabaseSettings

_APPLICATION: Final = "ordersync reconcile"
_CREATE = sql.SQL(
    "CREATE TRIGGER reconciliation_note AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW "
    "WHEN (current_setting('application_name') <> {writer}) EXECUTE FUNCTION reconciliation.{function}(); "
    "CREATE TRIGGER reconciliation_note_truncation AFTER TRUNCATE ON {table} "
    "EXECUTE FUNCTION reconciliation.note_truncation(); "
    # Also in sessions that replicate, which is how triggers are gone round.
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER reconciliation_note, "
    "ENABLE ALWAYS TRIGGER reconciliation_note_truncation"
)
_STANDING = (
    "SELECT name, found.oid IS NOT NULL, coalesce(pg_has_role(found.relowner, 'USAGE'), false), "
    "coalesce(has_table_privilege(found.oid, 'SELECT'), false), "
    "(SELECT count(*) FROM pg_trigger WHERE tgrelid = found.oid AND starts_with(tgname::text, 'reconciliation_note')) "
    "FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (name, place) "
    "LEFT JOIN pg_class AS found ON found.oid = to_regclass(name) ORDER BY place"
)
_RIGHTS = (
    "SELECT has_schema_privilege(relnamespace, 'USAGE'), has_table_privilege(pg_class.oid, 'SELECT'), "
    "has_table_privilege(pg_class.oid, 'DELETE') FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE nspname = 'reconciliation' AND relname = 'note'"
)
_TRIGGERS: Final = 2
_COMMAND: Final = "`ordersync security databases`, with ORDERSYNC_DATABASE__... of the server's owner"
_GUARDS = (
    "SELECT tgrelid, tgname, xmin::text, tgenabled::text, tgparentid = 0 FROM pg_trigger "
    "WHERE starts_with(tgname::text, 'reconciliation_note')"
)
_READ = (
    "SELECT note_id, order_id, table_name, deed, changed_by, application, noted_at FROM reconciliation.note "
    "ORDER BY note_id LIMIT %s"
)
_MOST_NOTES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Note:
    """Somebody changed something of an order, or (None) of orders that are not named."""

    note_id: int
    order_id: str | None
    table_name: str
    deed: str
    changed_by: str
    application: str
    noted_at: Instant

    def told(self) -> str:
        """For people."""
        who = f"{self.changed_by} ({self.application})" if self.application else self.changed_by
        return f"{self.deed} in {self.table_name} by {who} at {self.noted_at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Notes:
    """What was noted since the last time."""

    notes: Sequence[Note]
    is_trusted: bool
    """False where triggers were missing, off or tampered with, or more was noted than is read: look at everything."""

    @property
    def order_ids(self) -> set[str]:
        """The orders that are named."""
        return {note.order_id for note in self.notes if note.order_id is not None}

    @property
    def names_all(self) -> bool:
        """Whether nothing else can have changed."""
        return self.is_trusted and all(note.order_id is not None for note in self.notes)


class _Standing(NamedTuple):
    """What the role finds of a table of the sink."""

    table: str
    is_there: bool
    is_own: bool
    may_read: bool
    triggers: int


class NoteBook:
    """The notes of one database; `writer` is the application name of its sink, whose changes are not noted.

    Called by the reconciliation's worker alone. At least once: a note stays until `forget`.
    """

    def __init__(self, settings: DatabaseSettings, writer: str, tables: Sequence[str]) -> None:
        self._database = Database(settings, _APPLICATION, lambda _: None, is_sink=False)
        self._writer = writer
        self._tables = tables
        self._guards: dict[tuple[int, str], tuple[str, str]] | None = None

    def close(self) -> None:
        """End the session."""
        self._database.close()

    def prepare(self) -> None:
        """Have changes noted: who owns the tables lays out what is missing, any other finds that their owner did.

        Raises:
            ConfigurationError: the role does not own the tables, and it is not laid out or the role may not use it.
            Transient: the sink has not made its tables yet, or the database is away.
        """
        with self._database.transaction("preparing the notes of changes") as cursor:
            standing = [_Standing(*row) for row in cursor.execute(_STANDING, ([*self._tables, "sink_position"],))]
            rights = cursor.execute(_RIGHTS).fetchone()
        if missing := [one.table for one in standing if not one.is_there]:
            raise Transient(
                f"{self._database.place} has no table {missing[0]} yet; its sink makes it when it starts",
                retry_after_seconds=1,
            )
        if not all(one.is_own for one in standing):
            self._require(standing, rights)
            return
        self._database.migrate(files("consumers.reconcile") / "notes.sql")
        with self._database.transaction("preparing the notes of changes") as cursor:
            for table in self._tables:
                self._guard(cursor, table)

    def _require(self, standing: Sequence[_Standing], rights: Row | None) -> None:
        """Refuse to begin where changes are not noted, or what is compared may not be read."""
        place = self._database.place
        unguarded = [one.table for one in standing if one.triggers < _TRIGGERS and one.table in self._tables]
        if rights is None or unguarded:
            lacking = ["the table reconciliation.note"] if rights is None else []
            lacking += [f"triggers on {', '.join(unguarded)}"] if unguarded else []
            raise ConfigurationError(
                f"{place} lacks {' and '.join(lacking)}, by which changes are noted, and this role does not own the "
                f"tables: let their owner lay it out by {_COMMAND}"
            )
        denied = [f"SELECT on {one.table}" for one in standing if not one.may_read]
        wanted = ("USAGE on schema reconciliation", "SELECT on reconciliation.note", "DELETE on reconciliation.note")
        denied += [right for right, is_held in zip(wanted, rights, strict=True) if not is_held]
        if denied:
            raise ConfigurationError(f"in {place} this role lacks {', '.join(denied)}: give it by {_COMMAND}")

    def read(self) -> Notes:
        """All notes, oldest first, with those that were read before and not forgotten.

        Raises:
            ConfigurationError: the role may not read them.
            Transient: the database is away.
        """
        with self._database.transaction("reading the notes of changes") as cursor:
            guards = cursor.execute(_GUARDS).fetchall()
            found = [Note(*row) for row in cursor.execute(_READ, (_MOST_NOTES,))]
        return Notes(found, self._are_on_guard(guards) and len(found) < _MOST_NOTES)

    def forget(self, notes: Sequence[Note]) -> None:
        """Remove these notes: what they led to is published.

        Raises:
            ConfigurationError: the role may not.
            Transient: the database is away.
        """
        if notes:
            with self._database.transaction("forgetting notes of changes") as cursor:
                cursor.execute(
                    "DELETE FROM reconciliation.note WHERE note_id = ANY(%s)", ([one.note_id for one in notes],)
                )

    def _are_on_guard(self, guards: list[Row]) -> bool:
        """Whether each trigger is there, always on, and untouched since the last time; partitions may be new."""
        now = {(table, name): (version, enabled) for table, name, version, enabled, _ in guards}
        before, self._guards = self._guards, now
        whole = sum(is_own for *_, is_own in guards) == _TRIGGERS * len(self._tables)
        always = all(enabled == "A" for _, enabled in now.values())
        return whole and always and before is not None and before.items() <= now.items()

    def _guard(self, cursor: Rows, table: str) -> None:
        known = cursor.execute(
            "SELECT FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'reconciliation_note'", (table,)
        ).fetchone()
        if known is None:
            function = "note_line" if table == "journal_line" else "note_order"
            cursor.execute(
                _CREATE.format(
                    table=sql.Identifier(table), writer=sql.Literal(self._writer), function=sql.Identifier(function)
                )
            )
