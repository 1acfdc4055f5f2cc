"""Marks a session's changes as replicated, so that a capture of the same database does not take them for news."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from psycopg import Connection

ORIGIN = "ordersync"
_MOST_SESSIONS = 8
_log = logging.getLogger(__name__)


def claim_origin(session: Connection[tuple[Any, ...]]) -> str | None:
    """Take the first free origin of `ordersync`, `ordersync_2` ... for this session; None where the role may not.

    An origin serves one session at a time. The capture asks pgoutput for `origin none`, which leaves out all of them.
    Source: PostgreSQL manual, Replication Progress Tracking.
    """
    for number in range(1, _MOST_SESSIONS + 1):
        name = ORIGIN if number == 1 else f"{ORIGIN}_{number}"
        try:
            _create(session, name)
            session.execute("SELECT pg_replication_origin_session_setup(%s)", (name,))
        except psycopg.errors.ObjectInUse:
            continue
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ConfigurationLimitExceeded) as exc:
            _log.warning(
                "changes are not marked with a replication origin (%s): do not capture orders from this database", exc
            )
            return None
        return name
    _log.warning("all %d replication origins are in use: do not capture orders from this database", _MOST_SESSIONS)
    return None


def _create(session: Connection[tuple[Any, ...]], name: str) -> None:
    known = session.execute("SELECT 1 FROM pg_replication_origin WHERE roname = %s", (name,)).fetchone()
    if known is None:
        try:
            session.execute("SELECT pg_replication_origin_create(%s)", (name,))
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject):
            _log.debug("another worker created replication origin %s at the same moment", name)
