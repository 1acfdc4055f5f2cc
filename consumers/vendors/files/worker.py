"""The worker `vendor-files`: writes what is queued for each vendor into files, at once or at the times it wants."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic

from prometheus_client import CollectorRegistry

from consumers.postgres.database import Rows
from consumers.vendors.deliveries.book import DeliveryBook
from consumers.vendors.deliveries.messages import update_in
from consumers.vendors.deliveries.settings import DispatchSettings
from consumers.vendors.files.batches import FiledBatch, Queued, file_batch, require_workable
from consumers.vendors.files.documents import Partners
from consumers.vendors.metrics import DeliveryMetrics
from consumers.vendors.profiles import FILES, Files, VendorProfiles
from schemas.errors import ConfigurationError, InvalidValue, Transient

NAME = "vendor-files"
_log = logging.getLogger(__name__)
_BATCH = 500
_RETRY_SECONDS = 10.0
_COUNT_SECONDS = 10.0
_TIDY_SECONDS = 600.0

_BEGIN = """
INSERT INTO subscriber (name, channel) VALUES (%(name)s, 'files') ON CONFLICT DO NOTHING;
"""
_NUMBER = "INSERT INTO control_number (subscriber, last) VALUES (%s, 0) ON CONFLICT DO NOTHING"
# Only one worker at a time: numbers have no gaps, and files appear in their order.
_LOCK = "SELECT last FROM control_number WHERE subscriber = %s FOR UPDATE SKIP LOCKED"
_FILED_AT = "SELECT filed_at FROM subscriber WHERE name = %s AND channel = 'files'"
_WAITING = """
SELECT delivery_id, body FROM delivery
WHERE subscriber = %s AND channel = 'files' AND state = 'waiting' ORDER BY delivery_id LIMIT %s
"""
_KEEP = "INSERT INTO interchange (subscriber, control_number, file_name, content) VALUES (%s, %s, %s, %s)"
_COUNT = "UPDATE control_number SET last = %s WHERE subscriber = %s"
_SETTLE = """
UPDATE delivery SET state = 'delivered', attempts = attempts + 1, settled_at = clock_timestamp(), problem = NULL,
    first_attempted_at = coalesce(first_attempted_at, clock_timestamp()) WHERE delivery_id = ANY (%s)
"""
_REFUSE = """
UPDATE delivery SET state = 'dead', attempts = attempts + 1, settled_at = clock_timestamp(), problem = %s,
    first_attempted_at = coalesce(first_attempted_at, clock_timestamp()) WHERE delivery_id = %s
"""
_FILED = "UPDATE subscriber SET filed_at = %s WHERE name = %s AND channel = 'files'"
_UNWRITTEN = """
SELECT control_number, file_name, content FROM interchange
WHERE subscriber = %s AND written_at IS NULL ORDER BY control_number LIMIT %s
"""
_WRITTEN = "UPDATE interchange SET written_at = clock_timestamp() WHERE subscriber = %s AND control_number = %s"
_TIDY = "DELETE FROM interchange WHERE written_at < clock_timestamp() - make_interval(secs => %s)"


class VendorFilesWorker:
    """Numbers and content of a file are committed before it appears, so that a number never means two things.

    A worker that is killed leaves no partial file under a final name; what it had not noted as written appears once
    more, with the same name and content. An update that the format has no place for is a dead letter, and the others go
    on. A directory that cannot be written is tried again; other vendors do not wait for it.
    """

    def __init__(self, settings: DispatchSettings, registry: CollectorRegistry) -> None:
        profiles = VendorProfiles.load(settings.vendors).vendors
        self._partners = {
            name: Partners(one.files, name, one.name) for name, one in profiles.items() if one.files is not None
        }
        self._patience = {
            name: one.acknowledge_within_minutes * 60
            for name, one in profiles.items()
            if one.acknowledge_within_minutes is not None
        }
        for partners in self._partners.values():
            require_workable(partners, datetime.now(UTC))
            if not partners.files.directory.is_dir():
                raise ConfigurationError(
                    f"vendors.{partners.vendor_id}.files.directory: there is no directory {partners.files.directory}"
                )
        self._settings = settings
        self._book = DeliveryBook(settings.database, FILES, NAME)
        self._metrics = DeliveryMetrics(registry)
        self._not_before: dict[str, float] = {}
        self._count_at = self._tidy_at = 0.0
        self._ready = False

    def ready(self) -> bool:
        """Whether the queue answers, and every directory can be written."""
        return self._ready and not self._not_before

    def run(self, stop: Event) -> None:
        """Write files until `stop` is set.

        Raises:
            Fatal: the database refuses what this version needs.
        """
        prepared = False
        try:
            while not stop.is_set():
                try:
                    if not prepared:
                        self._prepare()
                        prepared = True
                    self._turn(stop)
                    self._ready = True
                    stop.wait(self._settings.poll_seconds)
                except Transient as exc:
                    self._ready = False
                    _log.warning("%s; trying again in %.1f s", exc, exc.retry_after_seconds)
                    stop.wait(exc.retry_after_seconds)
        finally:
            self._book.close()

    def _prepare(self) -> None:
        self._book.prepare()
        with self._book.database.transaction("preparing the vendors' files") as cursor:
            for name in self._partners:
                cursor.execute(_BEGIN, {"name": name})
                cursor.execute(_NUMBER, (name,))

    def _turn(self, stop: Event) -> None:
        for name, partners in self._partners.items():
            if stop.is_set() or monotonic() < self._not_before.get(name, 0.0):
                continue
            while self._file(name, partners) and not stop.is_set():
                pass
            try:
                while self._write(name, partners.files) and not stop.is_set():
                    pass
                self._not_before.pop(name, None)
            except OSError as exc:
                self._metrics.attempted(name, "unreachable")
                self._not_before[name] = monotonic() + _RETRY_SECONDS
                _log.error("%s: %s cannot be written (%s); nothing is lost", name, partners.files.directory, exc)
        self._look_after()

    def _file(self, name: str, partners: Partners) -> bool:
        """Give what is waiting a number and a content; whether there may be more."""
        now = datetime.now(UTC)
        with self._book.database.transaction(f"filing updates of {name}") as cursor:
            last = cursor.execute(_LOCK, (name,)).fetchone()
            filed_at = cursor.execute(_FILED_AT, (name,)).fetchone()
            if last is None or filed_at is None or not is_due(partners.files, filed_at[0], now):
                return False
            queued, refused = _read(cursor.execute(_WAITING, (name, _BATCH)).fetchall())
            batch = file_batch(queued, partners, int(last[0]), now)
            batch.refused.extend(refused)
            self._note(cursor, name, batch, int(last[0]))
            more = len(queued) + len(refused) == _BATCH
            if not more:
                cursor.execute(_FILED, (now, name))
        for _ in batch.filed:
            self._metrics.attempted(name, "delivered")
        for _, problem in batch.refused:
            self._metrics.attempted(name, "failed")
            _log.error("%s: an update fits no file: %s; see `ordersync vendors dead-letters`", name, problem)
        return more

    def _note(self, cursor: Rows, name: str, batch: FiledBatch, last: int) -> None:
        for one in batch.interchanges:
            cursor.execute(_KEEP, (name, one.control_number, one.file_name, one.file.content))
            last = one.control_number
        cursor.execute(_COUNT, (last, name))
        cursor.execute(_SETTLE, (batch.filed,))
        for delivery_id, problem in batch.refused:
            cursor.execute(_REFUSE, (f"{problem.rule}: {problem}", delivery_id))

    def _write(self, name: str, files: Files) -> bool:
        """Let the next files appear, in the order of their numbers; whether there may be more."""
        with self._book.database.transaction(f"writing files for {name}") as cursor:
            if cursor.execute(_LOCK, (name,)).fetchone() is None:
                return False
            found = cursor.execute(_UNWRITTEN, (name, _BATCH)).fetchall()
            for number, file_name, content in found:
                write_file(files.directory / file_name, bytes(content))
                cursor.execute(_WRITTEN, (name, number))
            return len(found) == _BATCH

    def _look_after(self) -> None:
        now = monotonic()
        if now >= self._count_at:
            labels = {name: name for name in self._partners}
            self._metrics.stands(labels, self._book.standing(), self._book.unacknowledged(self._patience))
            self._count_at = now + _COUNT_SECONDS
        if now >= self._tidy_at:
            keep = self._settings.keep_days * 86_400
            self._book.tidy(keep)
            with self._book.database.transaction("removing files that were written long ago") as cursor:
                cursor.execute(_TIDY, (keep,))
            self._tidy_at = now + _TIDY_SECONDS


def is_due(files: Files, filed_at: datetime, now: datetime) -> bool:
    """Whether one of the vendor's times of day has passed since files were made; always, where it names none."""
    if not files.at:
        return True
    passed = [
        instant
        for day in (now.date() - timedelta(days=1), now.date())
        for at in files.at
        if (instant := datetime.combine(day, at.replace(tzinfo=None), UTC)) <= now
    ]
    return bool(passed) and max(passed) > filed_at


def write_file(path: Path, content: bytes) -> None:
    """Let a whole file appear, durably: nobody ever sees a part of it under this name."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(rows: Sequence[tuple[int, str]]) -> tuple[list[Queued], list[tuple[int, InvalidValue]]]:
    queued: list[Queued] = []
    refused: list[tuple[int, InvalidValue]] = []
    for delivery_id, body in rows:
        try:
            queued.append(Queued(delivery_id, update_in(body)))
        except InvalidValue as exc:
            refused.append((delivery_id, exc))
    return queued, refused
