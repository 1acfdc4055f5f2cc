"""A real IMAP server (pymap) behind TLS, as providers of mail run theirs."""

from __future__ import annotations

import imaplib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import free_port
from deploy.local.server import await_condition
from deploy.security.authority import Authority
from deploy.security.files import SecurityFiles

USER, PASSWORD = "orders", "a password"
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where it listens, and whose certificates it has."""

    port: int
    authority: Path

    @contextmanager
    def session(self) -> Iterator[imaplib.IMAP4_SSL]:
        """A session of the mailbox's owner."""
        context = ssl.create_default_context(cafile=str(self.authority))
        with imaplib.IMAP4_SSL("127.0.0.1", self.port, ssl_context=context, timeout=60) as session:
            session.login(USER, PASSWORD)
            yield session

    def deliver(self, *letters: bytes) -> None:
        """Put e-mails into the inbox, unseen."""
        with self.session() as session:
            for letter in letters:
                assert session.append("INBOX", "", "", letter)[0] == "OK"


@contextmanager
def mail_server(directory: Path) -> Iterator[MailServer]:
    """Runs while the block lasts, with an empty inbox."""
    files = SecurityFiles(directory)
    Authority(files).ensure("mail")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate("mail"), files.key("mail"))
    plain_port = free_port()
    user = ["--demo-user", USER, "--demo-password", PASSWORD]
    argv = [Path(sys.executable).with_name("pymap"), "--host", "127.0.0.1", "--port", str(plain_port), "--no-tls"]
    with (directory / "mail.log").open("wb") as log:
        server = subprocess.Popen([*argv, "dict", *user], stdout=log, stderr=log)
    try:
        assert await_condition(lambda: _answers(plain_port), _START_SECONDS), (directory / "mail.log").read_text()
        with _front(context, plain_port) as port:
            yield MailServer(port, files.authority_certificate)
    finally:
        server.terminate()
        server.wait(60)


@contextmanager
def _front(context: ssl.SSLContext, plain_port: int) -> Iterator[int]:
    """TLS from the first byte, which pymap leaves to a proxy."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outside,
                socket.create_connection(("127.0.0.1", plain_port)) as inside,
            ):
                answers = threading.Thread(target=_copy, args=(inside, outside), daemon=True)
                answers.start()
                _copy(outside, inside)
                answers.join()

    class Front(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Front(("127.0.0.1", 0), Connection) as front:
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield front.server_address[1]
        finally:
            front.shutdown()
            thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
