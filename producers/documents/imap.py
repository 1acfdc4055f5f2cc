"""A mailbox on an IMAP server (RFC 3501, RFC 6851), read over TLS."""

from __future__ import annotations

import imaplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from producers.documents.source import ImapFile
from schemas.errors import ConfigurationError, Transient


class Mailbox:
    """One connection, opened for each look; use it as a context.

    E-mails are read without being marked, and marked or moved when they are decided: a crash between loses nothing.
    """

    def __init__(self, settings: ImapFile) -> None:
        self._settings = settings
        self._server: imaplib.IMAP4_SSL | None = None

    def __enter__(self) -> Mailbox:
        """Raises ConfigurationError for wrong credentials or mailbox, Transient while the server is away."""
        settings = self._settings
        try:
            password = settings.password_file.read_text(encoding="utf-8").strip()
            context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
        except OSError as exc:
            raise ConfigurationError(f"mailbox {settings.user}@{settings.host}: {exc}") from exc
        try:
            self._server = imaplib.IMAP4_SSL(
                settings.host, settings.port, ssl_context=context, timeout=settings.timeout_seconds
            )
        except (OSError, imaplib.IMAP4.error) as exc:
            raise Transient(f"mailbox {settings.host}:{settings.port}: {exc}", retry_after_seconds=10.0) from exc
        try:
            self._server.login(settings.user, password)
            self._checked(self._server.select(_quoted(settings.mailbox)), f"opening {settings.mailbox}")
        except (OSError, imaplib.IMAP4.abort) as exc:
            self._leave()
            raise Transient(f"mailbox {settings.host}: {exc}", retry_after_seconds=10.0) from exc
        except imaplib.IMAP4.error as exc:
            self._leave()
            raise ConfigurationError(f"mailbox {settings.user}@{settings.host}: {exc}") from exc
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._server is not None:
            with suppress(OSError, imaplib.IMAP4.error):
                self._server.logout()

    def waiting(self, longest: int) -> Iterator[tuple[str, bytes | None]]:
        """Id and content of each unseen e-mail; None where it is longer than allowed. Raises Transient."""
        with self._explained():
            server = self._open()
            [found] = self._checked(server.uid("SEARCH", "UNSEEN"), "searching")
            for uid in (found or b"").split():
                name = uid.decode("ascii")
                sizes = self._checked(server.uid("FETCH", name, "(RFC822.SIZE)"), f"asking for e-mail {name}")
                if _size_of(sizes) > longest:
                    yield name, None
                    continue
                data = self._checked(server.uid("FETCH", name, "(BODY.PEEK[])"), f"reading e-mail {name}")
                content = next((part[1] for part in data if isinstance(part, tuple)), None)
                if isinstance(content, bytes):
                    yield name, content

    def put_aside(self, uid: str) -> None:
        """The e-mail is decided. Raises Transient."""
        with self._explained():
            server = self._open()
            if self._settings.done_mailbox is None:
                self._checked(server.uid("STORE", uid, "+FLAGS", r"(\Seen)"), f"marking e-mail {uid}")
                return
            target = _quoted(self._settings.done_mailbox)
            if "MOVE" in server.capabilities:
                self._checked(server.uid("MOVE", uid, target), f"moving e-mail {uid}")
            else:
                self._checked(server.uid("COPY", uid, target), f"copying e-mail {uid}")
                self._checked(server.uid("STORE", uid, "+FLAGS", r"(\Seen \Deleted)"), f"marking e-mail {uid}")
                server.expunge()

    def _open(self) -> imaplib.IMAP4_SSL:
        assert self._server is not None
        return self._server

    @staticmethod
    def _checked(answer: tuple[str, list[Any]], doing: str) -> list[bytes]:
        kind, data = answer
        if kind != "OK":
            raise imaplib.IMAP4.error(f"{doing}: {kind} {data!r}")
        return data

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, imaplib.IMAP4.error) as exc:
            told = f"mailbox {self._settings.user}@{self._settings.host}: {exc}"
            raise Transient(told, retry_after_seconds=10.0) from exc


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _size_of(answer: list[bytes]) -> int:
    for part in answer:
        text = part if isinstance(part, bytes) else part[0]
        if b"RFC822.SIZE" in text:
            return int(text.split(b"RFC822.SIZE", 1)[1].split(b")")[0].split()[0])
    return 0
