"""A mailbox on a real IMAP server: what is unseen is read, what is decided is put aside, nothing is lost between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from producers.documents.imap import Mailbox
from producers.documents.source import ImapFile
from schemas.errors import ConfigurationError, Transient
from tests.integration.imap_server import PASSWORD, USER, MailServer, mail_server

pytestmark = pytest.mark.integration
_LONGEST = 2_000
_SHORT, _OTHER = (b"Subject: Order %d\r\n\r\nPlease send 12 cases\r\n" % number for number in (1, 2))
_LONG = b"Subject: Order 3\r\n\r\n" + b"x" * _LONGEST + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as running:
        yield running


@pytest.fixture
def settings(server: MailServer, tmp_path: Path) -> ImapFile:
    """An inbox with nothing in it."""
    with server.session() as session:
        session.select("INBOX")
        session.store("1:*", "+FLAGS", r"(\Deleted)")
        session.expunge()
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    return ImapFile(host="127.0.0.1", port=server.port, user=USER, password_file=password, ca_file=server.authority)


def test_what_is_decided_is_put_aside_and_nothing_else(server: MailServer, settings: ImapFile) -> None:
    server.deliver(_SHORT, _OTHER)
    with Mailbox(settings) as mailbox:
        found = list(mailbox.waiting(_LONGEST))
        assert [content for _, content in found] == [_SHORT, _OTHER]
    # A worker that died before it decided finds both again.
    with Mailbox(settings) as mailbox:
        assert list(mailbox.waiting(_LONGEST)) == found
        mailbox.put_aside(found[0][0])
        assert list(mailbox.waiting(_LONGEST)) == found[1:]
    with server.session() as session:
        session.select("INBOX", readonly=True)
        assert session.uid("SEARCH", "ALL")[1] == [" ".join(uid for uid, _ in found).encode()]


def test_what_is_decided_is_moved_where_that_is_wanted(server: MailServer, settings: ImapFile) -> None:
    with server.session() as session:
        session.create('"Done orders"')
    server.deliver(_SHORT, _OTHER)
    with Mailbox(settings.model_copy(update={"done_mailbox": "Done orders"})) as mailbox:
        first, second = mailbox.waiting(_LONGEST)
        mailbox.put_aside(first[0])
        assert list(mailbox.waiting(_LONGEST)) == [second]
    with server.session() as session:
        assert session.select("INBOX", readonly=True)[1] == [b"1"]
        assert session.select('"Done orders"', readonly=True)[1] == [b"1"]


def test_a_letter_that_is_too_long_is_told_and_not_read(server: MailServer, settings: ImapFile) -> None:
    server.deliver(_LONG, _SHORT)
    with Mailbox(settings) as mailbox:
        assert [content for _, content in mailbox.waiting(_LONGEST)] == [None, _SHORT]


def test_what_does_not_serve_is_told_apart(settings: ImapFile, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("something else")
    for changes in ({"password_file": wrong}, {"mailbox": "Nowhere"}, {"password_file": tmp_path / "gone"}):
        with (
            pytest.raises(ConfigurationError, match="mailbox orders@127"),
            Mailbox(settings.model_copy(update=changes)),
        ):
            pass
    for away in ({"port": free_port()}, {"ca_file": None}):
        with pytest.raises(Transient, match="mailbox 127"), Mailbox(settings.model_copy(update=away)):
            pass
