"""Answers requests on their topic: how far they are, that they are done, why they are refused.

That one is done is noted with the rows that it changed. It is said once that note is written, which is after Kafka has
all its events; and again after a crash in between, so that nobody waits for an answer that was lost.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import KafkaError, Message

from producers.cdc.assembly_state import AssemblyState
from producers.cdc.jobs import Cause, Job, Jobs
from producers.cdc.publisher import Publisher
from producers.cdc.records import Record
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import CaptureSignal
from schemas.topics import CAPTURE_SIGNALS

PROGRESS: Final = "progress"
DONE: Final = "done"
REFUSED: Final = "refused"
_FINISHED: Final = b"finished/"
"""Begins the names of notes with what a request has read; it waits there to be answered."""
_PROGRESS_SECONDS: Final = 2.0


def note_finished(state: AssemblyState, job: Job, jobs: Jobs) -> None:
    """A job that was asked for is done; the answer is due once no other job of the same request is left."""
    name = _FINISHED + job.job_id.encode()
    before = json.loads(state.note(name) or b"{}")
    found = {
        "roots": before.get("roots", 0) + job.roots,
        "rows": before.get("rows", 0) + job.rows,
        "complete": all(other.job_id != job.job_id for other in jobs),
        "message": before.get("message"),
    }
    state.put_note(name, json.dumps(found).encode())


def note_refused(state: AssemblyState, signal_id: str, message: str) -> None:
    """A request cannot be followed, or not any more."""
    found = {"roots": 0, "rows": 0, "complete": True, "message": message}
    state.put_note(_FINISHED + signal_id.encode(), json.dumps(found).encode())


class Answers:
    """Belongs to one attempt; called by its streaming, in its thread."""

    def __init__(
        self, publisher: Publisher, schemas: SchemaIds, state: AssemblyState, system: str, topic_prefix: str
    ) -> None:
        """Raises SchemaDrift if the schema is not registered, Transient while the registry is away."""
        self._publisher = publisher
        self._state = state
        self._system = system
        self._topic = topic_prefix + CAPTURE_SIGNALS
        self._codec: TopicCodec[CaptureSignal] = TopicCodec(self._topic, CaptureSignal, schemas)
        self._progress_at = 0.0

    def give(self, jobs: Jobs) -> bool:
        """Say what is due; whether notes were changed, or wait to be written. Raises as `Publisher.publish` does."""
        now = time.monotonic()
        job = jobs.current
        if job is not None and job.cause is Cause.REQUEST and now >= self._progress_at:
            self._progress_at = now + _PROGRESS_SECONDS
            self._say(job.job_id, PROGRESS, job.roots, job.rows, None)
        given = False
        for name in list(self._state.notes(_FINISHED)):
            value = self._state.note(name) or b"{}"
            found = json.loads(value)
            if not found.get("complete"):
                continue
            given = True
            if self._state.written_note(name) == value:
                message = found["message"]
                action = DONE if message is None else REFUSED
                self._say(name.removeprefix(_FINISHED).decode(), action, found["roots"], found["rows"], message)
                self._state.put_note(name, None)
        return given

    def _say(self, signal_id: str, action: str, roots: int, rows: int, message: str | None) -> None:
        answer = CaptureSignal(
            signal_id=signal_id,
            system=self._system,
            action=action,
            requested_at=datetime.now(UTC),
            roots=roots,
            rows=rows,
            message=message,
        )
        self._publisher.publish(Record(self._topic, self._system.encode(), self._codec.encode(answer)), self._answered)

    def _answered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._publisher.failed(error, message)
