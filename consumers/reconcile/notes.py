"""Notes that triggers in a sink's database take of changes which the sink did not make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from psycopg import sql

from consumers.postgres.database import Database, Rows
from consumers.reconcile.rows import Row
from schemas.attributes import Instant
from schemas.errors import Transient
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


class NoteBook:
    """The notes of one database; `writer` is the application name of its sink, whose changes are not noted.

    Called by the reconciliation's worker alone. At least once: a note stays until `forget`.
    """

    def __init__(self, settings: DatabaseSettings, writer: str, tables: Sequence[str]) -> None:
        self._database = Database(settings, _APPLICATION, lambda _: None)
        self._writer = writer
        self._tables = tables
        self._guards: dict[tuple[int, str], tuple[str, str]] | None = None

    def close(self) -> None:
        """End the session."""
        self._database.close()

    def prepare(self) -> None:
        """Create the triggers that are missing.

        Raises:
            ConfigurationError: the role may not.
            Transient: the sink has not made its tables yet, or the database is away.
        """
        with self._database.transaction("preparing the notes of changes") as cursor:
            missing = cursor.execute(
                "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL",
                ([*self._tables, "sink_position"],),
            ).fetchall()
        if missing:
            raise Transient(
                f"{self._database.place} has no table {missing[0][0]} yet; its sink makes it when it starts",
                retry_after_seconds=1,
            )
        self._database.migrate(files("consumers.reconcile") / "notes.sql")
        with self._database.transaction("preparing the notes of changes") as cursor:
            for table in self._tables:
                self._guard(cursor, table)

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
        whole = sum(is_own for *_, is_own in guards) == 2 * len(self._tables)
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
