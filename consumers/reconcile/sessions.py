"""Sessions with databases that are kept from one snapshot to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, tzinfo

import psycopg

from consumers.postgres.errors import postgres_error
from consumers.reconcile.rows import Row, Snapshot, connected, place_of
from schemas.settings import DatabaseSettings

_Session = psycopg.Connection[Row]


class Sessions:
    """Opening a session costs the server more than most of what is asked in it, so the worker keeps them.

    Of each database as many as it reads from at the same time; between two snapshots they are in no transaction.
    Threads may share it.
    """

    def __init__(self) -> None:
        self._idle: defaultdict[tuple[str, tzinfo], list[_Session]] = defaultdict(list)
        self._held: dict[str, Snapshot] = {}

    def close(self) -> None:
        """End them all; none may be in use."""
        for sessions in self._idle.values():
            while sessions:
                sessions.pop().close()

    @contextmanager
    def snapshot(self, settings: DatabaseSettings, *, zone: tzinfo = UTC) -> Iterator[Snapshot]:
        """A snapshot of a database; times of its columns without time zone are in `zone`.

        Raises:
            ConfigurationError: it refuses the role.
            Transient: it is away.
        """
        if settings.conninfo() in self._held:
            yield self._held[settings.conninfo()]
            return
        idle = self._idle[settings.conninfo(), zone]
        session = _living(idle) or connected(settings, zone)
        try:
            yield Snapshot(session, place_of(settings))
            _end(session, place_of(settings))
        except BaseException:
            session.close()
            raise
        idle.append(session)

    @contextmanager
    def held(self, databases: Iterable[DatabaseSettings]) -> Iterator[None]:
        """Until its end, every snapshot of these databases is one and the same; nobody else may ask meanwhile.

        Raises:
            ConfigurationError, Transient: as `snapshot`.
        """
        with ExitStack() as snapshots:
            try:
                for settings in databases:
                    self._held[settings.conninfo()] = snapshots.enter_context(self.snapshot(settings))
                yield
            finally:
                self._held = {}


def _end(session: _Session, place: str) -> None:
    try:
        session.rollback()
    except psycopg.Error as exc:
        raise postgres_error(exc, f"ending a look at {place}") from exc


def _living(idle: list[_Session]) -> _Session | None:
    """One of them that its server has not ended meanwhile."""
    while idle:
        try:
            session = idle.pop()
        except IndexError:
            return None  # Another thread took the last one.
        try:
            session.execute("SELECT")
            return session
        except psycopg.Error:
            session.close()
    return None
