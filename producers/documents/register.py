"""The record of what was done with every document, the queue of those that wait for a person, and what people said."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from pydantic import TypeAdapter

from producers.documents.doubts import Doubt
from producers.documents.masters import name_key
from producers.documents.order import ReadOrder
from producers.documents.originals import DocumentId
from schemas.errors import ConfigurationError, Transient

READ_ORDERS: TypeAdapter[ReadOrder] = TypeAdapter(ReadOrder)
_DOUBTS: TypeAdapter[list[Doubt]] = TypeAdapter(list[Doubt])
_WAIT_SECONDS = 10.0
_WITHIN = """
WITH RECURSIVE within (id, name, depth) AS (
    SELECT id, name, 0 FROM documents WHERE id = ?
    UNION SELECT one.id, one.name, depth + 1 FROM documents AS one JOIN within ON one.parent = within.id
    WHERE depth < 100
)
SELECT within.name, parts.* FROM within JOIN parts ON parts.document = within.id ORDER BY depth, within.id, part
"""


@dataclass(frozen=True, slots=True)
class Received:
    """A document as it came."""

    id: DocumentId
    source: str
    name: str
    size: int
    sender: str = ""
    subject: str = ""
    parent: DocumentId | None = None
    content: DocumentId | None = None
    """Under which the original is kept, where that is not the id of the document."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order of a document."""

    part: int
    kind: str
    outcome: str
    """accepted, unchanged, duplicate, review, rejected or refused."""
    order_id: str | None = None
    request_id: str | None = None
    reasons: list[str] | None = None


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An order that a person has to look at."""

    outcome: Outcome
    read: ReadOrder
    doubts: Sequence[Doubt]
    customer_id: str | None


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document, and what was done with it."""

    received: Received
    media: str
    state: str
    received_at: datetime
    parts: list[Outcome]
    steps: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Review:
    """An order that waits for a person, or waited."""

    id: str
    document: DocumentId
    part: int
    source: str
    read: ReadOrder
    doubts: list[Doubt]
    state: str
    """waiting, accepted (to be taken by the worker), rejected or done."""
    since: str
    decided_by: str | None
    note: str | None
    corrections: dict[str, str]
    customer_id: str | None = None
    """The customer, where that was clear."""


class Register:
    """One SQLite file, shared by the worker and the command line; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError where the file cannot be opened."""
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
            self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            self._db.executescript(files(__package__).joinpath("register.sql").read_text(encoding="utf-8"))
        except (OSError, sqlite3.Error) as exc:
            raise ConfigurationError(f"the register of documents {path} cannot be opened: {exc}") from exc
        self._db.row_factory = sqlite3.Row
        self._extend()

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def _extend(self) -> None:
        """Bring a file of an earlier version up to this one's columns."""
        with self._transaction() as db:
            if all(row["name"] != "content" for row in db.execute("PRAGMA table_info (documents)")):
                db.execute("ALTER TABLE documents ADD COLUMN content TEXT")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as exc:
                raise Transient(f"the register of documents {self._path}: {exc}") from exc

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.OperationalError as exc:
                raise Transient(f"the register of documents {self._path}: {exc}") from exc

    def receive(self, received: Received) -> bool:
        """Note a document; False where it was dealt with before, so that nothing is left to do."""
        with self._transaction() as db:
            known = db.execute("SELECT state FROM documents WHERE id = ?", (received.id,)).fetchone()
            step = "received" if known is None else "received again"
            if known is None:
                one = received
                db.execute(
                    "INSERT INTO documents (id, source, name, size, parent, sender, subject, received_at, content,"
                    " state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'received')",
                    (one.id, one.source, one.name, one.size, one.parent, one.sender, one.subject, _now(), one.content),
                )
            _step(db, received.id, step, f"{received.source}: {received.name}")
            return known is None or known["state"] == "received"

    def step(self, document_id: DocumentId, step: str, detail: str) -> None:
        """Note what was done."""
        with self._transaction() as db:
            _step(db, document_id, step, detail)

    def outcomes(self, document_id: DocumentId) -> dict[int, Outcome]:
        """What was decided already, by part."""
        rows = self._rows("SELECT * FROM parts WHERE document = ? ORDER BY part", document_id)
        return {row["part"]: _outcome(row) for row in rows}

    def decide(self, document_id: DocumentId, outcome: Outcome) -> None:
        """Note what became of one order of a document."""
        with self._transaction() as db:
            _decide(db, document_id, outcome)

    def review(self, document_id: DocumentId, source: str, entry: QueueEntry) -> str:
        """Put an order into the queue; gives the id of the review."""
        outcome = entry.outcome
        review_id = f"{document_id[:12]}-{outcome.part}"
        with self._transaction() as db:
            db.execute(
                "INSERT INTO reviews (id, document, part, source, read, doubts, state, since, customer_id)"
                " VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT (id) DO UPDATE SET read = excluded.read,"
                " doubts = excluded.doubts, state = 'waiting'",
                (
                    review_id,
                    document_id,
                    outcome.part,
                    source,
                    READ_ORDERS.dump_json(entry.read).decode(),
                    json.dumps([asdict(doubt) for doubt in entry.doubts]),
                    _now(),
                    entry.customer_id,
                ),
            )
            _decide(db, document_id, outcome)
        return review_id

    def finish(self, document_id: DocumentId, media: str, state: str) -> None:
        """Nothing is left to do; `state` is done or refused."""
        with self._transaction() as db:
            db.execute("UPDATE documents SET media = ?, state = ? WHERE id = ?", (media, state, document_id))
            _step(db, document_id, state, media)

    def record(self, document_id: str) -> DocumentRecord | None:
        """A document by its id or the beginning of it."""
        rows = self._rows("SELECT * FROM documents WHERE substr(id, 1, ?) = ? LIMIT 2", len(document_id), document_id)
        if len(rows) != 1:
            return None
        row = rows[0]
        steps = self._rows("SELECT at, step, detail FROM steps WHERE document = ? ORDER BY rowid", row["id"])
        received = Received(
            row["id"], row["source"], row["name"], row["size"], row["sender"], row["subject"], row["parent"],
            row["content"],
        )  # fmt: skip
        parts = list(self.outcomes(row["id"]).values())
        at = datetime.fromisoformat(row["received_at"])
        told = [(step["at"], step["step"], step["detail"]) for step in steps]
        return DocumentRecord(received, row["media"], row["state"], at, parts, told)

    def content_of(self, document_id: DocumentId) -> DocumentId:
        """Under which the original of a document is kept."""
        rows = self._rows("SELECT content FROM documents WHERE id = ?", document_id)
        return DocumentId(rows[0]["content"]) if rows and rows[0]["content"] else document_id

    def parts_within(self, document_id: DocumentId) -> list[tuple[str, Outcome]]:
        """What became of each order of a document and of those in it, such as the files of an e-mail, with its name."""
        rows = self._rows(_WITHIN, document_id)
        return [(row["name"], _outcome(row)) for row in rows]

    def uploaded(self, upload_id: str, document_id: DocumentId) -> None:
        """Note which document a client's upload is."""
        with self._transaction() as db:
            db.execute(
                # The id may have been another document's, whose status is forgotten.
                "INSERT INTO uploads VALUES (?, ?, FALSE)"
                " ON CONFLICT (id) DO UPDATE SET document = excluded.document, is_final = FALSE",
                (upload_id, document_id),
            )

    def told_upload(self, upload_id: str) -> None:
        """Nothing of an upload can change any more, and its client may read it."""
        with self._transaction() as db:
            db.execute("UPDATE uploads SET is_final = TRUE WHERE id = ?", (upload_id,))

    def open_uploads(self) -> list[tuple[str, DocumentId]]:
        """Uploads with orders that wait for a person, and their documents."""
        rows = self._rows("SELECT id, document FROM uploads WHERE NOT is_final")
        return [(row["id"], DocumentId(row["document"])) for row in rows]

    def documents(self, limit: int, order_id: str | None = None) -> list[DocumentRecord]:
        """The newest, or those of one order."""
        if order_id is None:
            rows = self._rows("SELECT id FROM documents ORDER BY received_at DESC LIMIT ?", limit)
        else:
            rows = self._rows("SELECT DISTINCT document AS id FROM parts WHERE order_id = ? LIMIT ?", order_id, limit)
        found = [self.record(row["id"]) for row in rows]
        return [record for record in found if record is not None]

    def reviews(self, state: str = "waiting") -> list[Review]:
        """The queue, oldest first."""
        return [_review(row) for row in self._rows("SELECT * FROM reviews WHERE state = ? ORDER BY since, id", state)]

    def waiting(self) -> int:
        """How long the queue is."""
        [row] = self._rows("SELECT count(*) AS waiting FROM reviews WHERE state = 'waiting'")
        return int(row["waiting"])

    def review_of(self, review_id: str) -> Review | None:
        """One of them."""
        rows = self._rows("SELECT * FROM reviews WHERE id = ?", review_id)
        return _review(rows[0]) if rows else None

    def settle(self, review_id: str, state: str, by: str, note: str, corrections: dict[str, str]) -> bool:
        """Note what a person decided; False where the order no longer waits."""
        with self._transaction() as db:
            done = db.execute(
                "UPDATE reviews SET state = ?, decided_by = ?, decided_at = ?, note = ?, corrections = ?"
                " WHERE id = ? AND state = 'waiting'",
                (state, by, _now(), note, json.dumps(corrections), review_id),
            )
            if done.rowcount and state == "rejected":
                row = db.execute("SELECT document, part FROM reviews WHERE id = ?", (review_id,)).fetchone()
                db.execute(
                    "UPDATE parts SET outcome = 'rejected', decided_at = ? WHERE document = ? AND part = ?",
                    (_now(), row["document"], row["part"]),
                )
                _step(db, row["document"], "rejected", f"{by}: {note}")
            return done.rowcount == 1

    def close_review(self, review_id: str) -> None:
        """The worker has taken an accepted order."""
        with self._transaction() as db:
            db.execute("UPDATE reviews SET state = 'done' WHERE id = ? AND state = 'accepted'", (review_id,))

    def alias(self, kind: str, scope: str, text: str) -> str | None:
        """What a person once said that a text means."""
        query = "SELECT target FROM aliases WHERE kind = ? AND scope = ? AND text = ?"
        rows = self._rows(query, kind, name_key(scope), name_key(text))
        return rows[0]["target"] if rows else None

    def tell(self, kind: str, scope: str, text: str, target: str, by: str) -> None:
        """Remember what a text means."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO aliases VALUES (?, ?, ?, ?, ?, ?)",
                (kind, name_key(scope), name_key(text), target, by, _now()),
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _step(db: sqlite3.Connection, document_id: str, step: str, detail: str) -> None:
    db.execute("INSERT INTO steps VALUES (?, ?, ?, ?)", (document_id, _now(), step, detail[:2000]))


def _decide(db: sqlite3.Connection, document_id: str, one: Outcome) -> None:
    reasons = one.reasons or []
    db.execute(
        "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (document_id, one.part, one.kind, one.outcome, one.order_id, one.request_id, json.dumps(reasons), _now()),
    )
    _step(db, document_id, one.outcome, f"part {one.part}: {one.order_id or ''} {'; '.join(reasons)}".strip())


def _outcome(row: sqlite3.Row) -> Outcome:
    reasons = json.loads(row["reasons"])
    return Outcome(row["part"], row["kind"], row["outcome"], row["order_id"], row["request_id"], reasons)


def _review(row: sqlite3.Row) -> Review:
    return Review(
        row["id"], row["document"], row["part"], row["source"], READ_ORDERS.validate_json(row["read"]),
        _DOUBTS.validate_json(row["doubts"]), row["state"], row["since"], row["decided_by"], row["note"],
        json.loads(row["corrections"]), row["customer_id"],
    )  # fmt: skip
