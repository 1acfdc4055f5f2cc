"""Sessions in signed cookies: nothing of them is kept here but which were ended before their time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from itsdangerous import BadSignature, URLSafeSerializer

from deploy.console.people.users import User, Users
from schemas.errors import Fatal

_KEY_BYTES: Final = 32
_RENEW_SECONDS: Final = 60.0
_FIELDS: Final = 5


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session may last altogether, and without a request."""

    session_seconds: float
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class Session:
    """One visitor's session; `user` is None before the sign-in."""

    session_id: str
    user: User | None
    began_at: float
    seen_at: float


class Sessions:
    """Makes, checks and ends sessions. Any thread may call it."""

    def __init__(
        self, directory: Path, users: Users, lifetimes: Lifetimes, now: Callable[[], float] = time.time
    ) -> None:
        """Raises Fatal where the directory cannot be written."""
        self._users, self._lifetimes, self._now = users, lifetimes, now
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._key = _kept_key(directory / "session.key")
            self._ended = _Ended(directory / "ended.sqlite")
        except (OSError, sqlite3.Error) as exc:
            raise Fatal(f"the console's sessions cannot be kept in {directory}: {exc}") from exc
        self._signer = URLSafeSerializer(self._key, salt="session", signer_kwargs={"digest_method": hashlib.sha256})

    def close(self) -> None:
        """Give the file back."""
        self._ended.close()

    def new(self, user: User | None = None) -> Session:
        """A session with an id that nobody has seen before: at the first visit, and at each sign-in."""
        return Session(secrets.token_urlsafe(18), user, self._now(), self._now())

    def cookie(self, session: Session) -> str:
        """The cookie's value, where it is new or has to be renewed."""
        user = session.user
        content = [
            session.session_id,
            None if user is None else user.name,
            None if user is None else self._fingerprint(user),
            round(session.began_at),
            round(session.seen_at),
        ]
        return self._signer.dumps(content)

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None where it is not ours, too old, ended, or its user is gone or has changed."""
        content = self._content(cookie)
        if content is None:
            return None
        session_id, name, fingerprint, began_at, seen_at = content
        now = self._now()
        if now - began_at > self._lifetimes.session_seconds or now - seen_at > self._lifetimes.idle_seconds:
            return None
        if self._ended.has(session_id):
            return None
        if name is None:
            return Session(session_id, None, began_at, seen_at)
        user = self._users.of(name)
        if user is None or not hmac.compare_digest(fingerprint, self._fingerprint(user)):
            return None
        return Session(session_id, user, began_at, seen_at)

    def renewed(self, session: Session) -> Session | None:
        """The session with the time of now, where its cookie is old enough to be sent again."""
        now = self._now()
        return replace(session, seen_at=now) if now - session.seen_at > _RENEW_SECONDS else None

    def end(self, session: Session) -> None:
        """Its cookie is worth nothing from now on."""
        self._ended.add(session.session_id, self._now(), self._lifetimes.session_seconds)

    def token(self, session: Session) -> str:
        """What each form of the session carries, and no other site can know. Source: OWASP CSRF prevention."""
        return hmac.new(self._key, b"form/" + session.session_id.encode(), hashlib.sha256).hexdigest()

    def has_token(self, session: Session, token: str) -> bool:
        """Whether a form is of this session."""
        return hmac.compare_digest(self.token(session).encode(), token.encode(errors="replace"))

    def _content(self, cookie: str | None) -> tuple[str, str | None, str, float, float] | None:
        if cookie is None:
            return None
        try:
            content: Any = self._signer.loads(cookie)
        except BadSignature:
            return None
        return tuple(content) if isinstance(content, list) and len(content) == _FIELDS else None

    def _fingerprint(self, user: User) -> str:
        """Changes with password and role, which ends every session that began before."""
        told = f"{user.name}/{user.role}/{user.password}/{user.must_change}"
        return hmac.new(self._key, told.encode(), hashlib.sha256).hexdigest()[:24]


class _Ended:
    """Ids of sessions that were ended, until they would have ended by themselves."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._connection.execute("CREATE TABLE IF NOT EXISTS ended (id TEXT PRIMARY KEY, until REAL) WITHOUT ROWID")

    def has(self, session_id: str) -> bool:
        with self._lock:
            found = self._connection.execute("SELECT 1 FROM ended WHERE id = ?", (session_id,)).fetchone()
        return found is not None

    def add(self, session_id: str, now: float, seconds: float) -> None:
        with self._lock:
            self._connection.execute("DELETE FROM ended WHERE until < ?", (now,))
            self._connection.execute("INSERT OR IGNORE INTO ended VALUES (?, ?)", (session_id, now + seconds))

    def close(self) -> None:
        self._connection.close()


def _kept_key(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != _KEY_BYTES:
        key = secrets.token_bytes(_KEY_BYTES)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(key)
    return key
