"""Takes e-mails apart: who wrote, what, and which files hang on it. Source: RFC 5322, RFC 2045, RFC 4155 (mbox)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from html.parser import HTMLParser

from producers.documents.limits import Limits
from producers.documents.reasons import refused

_FROM_LINE = re.compile(rb"^From \S.*\d{4}\s*$", re.MULTILINE)
_HEADER = re.compile(rb"\A(?:[!-9;-~]+:[ \t].*\r?\n(?:[ \t].*\r?\n)*)+", re.MULTILINE)
_USUAL = re.compile(rb"^(?:From|Subject|Date|Message-ID|MIME-Version|Received|To):", re.MULTILINE | re.IGNORECASE)
_DECORATION = frozenset(
    {"image/gif", "text/calendar", "text/vcard", "application/pgp-signature", "application/pkcs7-signature"}
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that hangs on an e-mail."""

    name: str
    media_type: str
    content: bytes
    is_inline: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail."""

    sender: str
    subject: str
    message_id: str
    body: str
    sent_on: date | None = None
    attachments: list[Attachment] = field(default_factory=list)


def is_mail(content: bytes) -> bool:
    """Whether it begins with the header of an e-mail."""
    head = content[:8192].lstrip()
    found = _HEADER.match(head)
    return found is not None and len(_USUAL.findall(found[0])) >= 2


def is_mailbox(content: bytes) -> bool:
    """Whether it begins as an mbox file does."""
    return content.startswith(b"From ") and _FROM_LINE.match(content) is not None


def mails_of(content: bytes) -> Iterator[bytes]:
    """Each e-mail of an mbox file, as it came."""
    starts = [
        found.start()
        for found in _FROM_LINE.finditer(content)
        if found.start() == 0 or content[: found.start()].endswith((b"\n\n", b"\r\n\r\n"))
    ]
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        lines = content[start:end].split(b"\n", 1)
        if len(lines) == 2:
            yield re.sub(rb"(?m)^>(>*From )", rb"\1", lines[1])


def read(content: bytes, limits: Limits) -> Mail:
    """The parts of one e-mail. Raises RefusedDocument where it has too many, or parts that are too long."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    attachments: list[Attachment] = []
    texts: dict[str, list[str]] = {"plain": [], "html": []}
    try:
        for part in _leaves(message, 0, limits):
            name = part.get_filename() or ""
            media = part.get_content_type()
            is_text = part.get_content_maintype() == "text" and media in ("text/plain", "text/html")
            if is_text and not name and part.get_content_disposition() != "attachment":
                texts[media.removeprefix("text/")].append(_text(part))
            elif media not in _DECORATION:
                payload = _payload(part)
                limits.check_size(max(len(payload), 1), f"attachment {name or media}")
                is_inline = part.get_content_disposition() == "inline" or bool(part.get("Content-ID"))
                attachments.append(Attachment(name or media.replace("/", "."), media, payload, is_inline))
            if len(attachments) > limits.attachments:
                raise refused("mail.attachments", f"more than {limits.attachments} attachments", "e-mail")
        sender = parseaddr(str(message.get("From", "")))[1].lower()
        subject, message_id = str(message.get("Subject", "")), str(message.get("Message-ID", "")).strip()
    except (LookupError, ValueError, IndexError, AttributeError, TypeError) as exc:
        # Python's parser of e-mail raises these for headers and encodings that nobody can read.
        raise refused("mail.damaged", f"the e-mail cannot be read: {exc}", "e-mail") from exc
    plain = "\n".join(texts["plain"]).strip()
    body = plain or _text_of_html("\n".join(texts["html"]))
    return Mail(sender, subject, message_id, body, _sent_on(message), attachments)


def _sent_on(message: EmailMessage) -> date | None:
    try:
        return parsedate_to_datetime(str(message.get("Date", ""))).date()
    except (ValueError, TypeError, OverflowError):
        return None


def _leaves(message: EmailMessage, depth: int, limits: Limits) -> Iterator[EmailMessage]:
    if depth > limits.depth:
        raise refused("mail.depth", f"parts nested deeper than {limits.depth}", "e-mail")
    if message.is_multipart():
        for part in message.iter_parts():
            assert isinstance(part, EmailMessage)
            yield from _leaves(part, depth + 1, limits)
    else:
        yield message


def _payload(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: EmailMessage) -> str:
    payload, charset = _payload(part), part.get_content_charset() or "utf-8"
    try:
        return payload.decode(charset)
    except (LookupError, UnicodeDecodeError):
        return payload.decode("utf-8", "replace")


class _Text(HTMLParser):
    """What a reader sees of HTML, with its lines."""

    _BLOCKS = frozenset({"p", "div", "br", "tr", "li", "table", "h1", "h2", "h3", "h4"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("style", "script", "head"):
            self._hidden += 1
        elif tag in self._BLOCKS:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append("\t")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script", "head"):
            self._hidden = max(0, self._hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def _text_of_html(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    return re.sub(r"\n\s*\n+", "\n\n", "".join(reader.parts)).strip()
