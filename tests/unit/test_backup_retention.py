"""What expires is what no kept moment needs: every moment is restored exactly, or refused; the kept ones never are."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyrage.x25519 import Identity

from consumers.backup.archive.batches import ArchivedRecord, RecordBatch
from consumers.backup.archive.segments import OpenSegment
from consumers.backup.policy import Retention
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.verification import mend, verify_copy
from consumers.backup.vault.audit import Deed, record
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.copies import Source
from consumers.backup.vault.creator import Progress
from consumers.backup.vault.expiring import Expiring
from consumers.backup.vault.holdings import Point, Segment
from consumers.backup.vault.holds import PLACED, RELEASED, HeldSpan
from consumers.backup.vault.layout import snapshot_path
from consumers.backup.vault.needs import is_whole
from consumers.backup.vault.retention import expirable, kept_spans
from consumers.backup.vault.targets import ExpiredRange, Expiry, SnapshotTarget
from consumers.sink import Partition
from schemas.errors import BackupRefused, ConfigurationError
from tests.unit.backup_people import NOW, Vault

EVENTS, STATE, CAPTURED = (Partition(topic, 0) for topic in ("orders.events", "orders.state", "orders.captured"))
RETENTION = {"keep_within_days": 10, "daily": 20, "weekly": 8, "monthly": 3, "enforce": True, "grace_hours": 24}
DAYS = 130
START = NOW - timedelta(days=DAYS)
DAY_MS = 24 * 3600 * 1000


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class Reading(ArchiveReader):
    """Opens each segment once, however many moments are asked for."""

    def __init__(self, source: Source, catalogue: Catalogue, holder: Identity) -> None:
        super().__init__(source, catalogue, holder)
        self._opened: dict[str, list[RecordBatch]] = {}

    def read(self, segment: Segment) -> Iterator[RecordBatch]:
        path = segment.file.path
        if path not in self._opened:
            self._opened[path] = list(super().read(segment))
        return iter(self._opened[path])


class Quarter:
    """130 days of a backup: three commits a day, a snapshot every nine days, and the list of what was written."""

    def __init__(self, directory: Path, retention: dict[str, object] | None = None, days: int = DAYS) -> None:
        self.vault = Vault(directory, retention=retention or RETENTION)
        self.written: dict[Partition, list[ArchivedRecord]] = {EVENTS: [], STATE: [], CAPTURED: []}
        self.creator = self.vault.new_creator()
        chance = random.Random(5)
        for number in range(3 * days):
            at = START + timedelta(hours=8 * number)
            rows = []
            for _ in range(chance.randrange(1, 5)):
                # Clocks of producers differ.
                time_ms = _ms(at) - chance.randrange(0, 4 * 3600 * 1000)
                key = b"k%d" % chance.randrange(12)
                value = None if chance.random() < 0.15 else b"v%d" % number
                for partition, records in self.written.items():
                    one = ArchivedRecord(len(records), time_ms, 1, key, value)
                    records.append(one)
                    rows.append((partition, one))
            self.vault.commit(self.creator, rows, at)
            if number % 27 == 26:
                self._snapshot(at)
        self.end = START + timedelta(hours=8 * (3 * days - 1))

    def _snapshot(self, at: datetime) -> None:
        """As the archive makes one: the latest of each key, in two pieces."""
        end = self.creator.catalogue.position(STATE)
        latest = {one.key: one for one in self.written[STATE]}
        rows = sorted(latest.values(), key=lambda one: one.offset)
        for number, part in enumerate((rows[:5], rows[5:])):
            segment = OpenSegment(STATE, 0, 0.0)
            for one in part:
                segment.append(one)
            closed = segment.close()
            sealed = self.creator.seal(closed.content, at)
            holds = SnapshotTarget(
                set_id=self.creator.key_set(at).set_id,
                topic=STATE.topic,
                partition=STATE.number,
                taken_at=at,
                end_offset=end,
                number=number,
                records=closed.records,
                until_offset=end if number else None,
            )
            self.creator.add(snapshot_path(*STATE, f"{_ms(at)}", number, closed.path(sealed)[-20:]), sealed, holds)
        self.creator.commit(Progress(at, at))

    def expire(self, now: datetime = NOW) -> int:
        """What the archive does every hour, until there is no more to do; gives how many files."""
        before = self.creator.catalogue.count
        expiring = Expiring(self.vault.policy, self.vault.copies, self.creator)
        while not (plan := expiring.plan(now)).is_empty:
            self.creator.commit(Progress(now, now, expired=plan))
        return before - self.creator.catalogue.count

    def reader(self) -> ArchiveReader:
        catalogue = Catalogue()
        self.vault.client().load(catalogue)
        return Reading(self.vault.copies, catalogue, self.vault.people.holders["restorer"])

    def expected(self, partition: Partition, at: datetime) -> list[ArchivedRecord]:
        """The oracle: what the topic held at a moment."""
        found = [one for one in self.written[partition] if one.timestamp_ms <= _ms(at)]
        if partition == CAPTURED:
            return [one for one in found if one.timestamp_ms > _ms(at) - 30 * DAY_MS]
        if partition == STATE:
            latest = {one.key: one for one in found}
            return sorted(latest.values(), key=lambda one: one.offset)
        return found

    def restored(self, reader: ArchiveReader, partition: Partition, at: datetime) -> list[ArchivedRecord]:
        found = list(reader.records(partition, at))
        if partition == STATE:
            found = sorted({one.key: one for one in found}.values(), key=lambda one: one.offset)
        return found

    def hold(self, name: str, since: datetime, until: datetime) -> None:
        deed = Deed(PLACED, HeldSpan(name=name, since=since, until=until).model_dump_json(), NOW)
        record(self.vault.copies, self.vault.people.restorer, deed, self.vault.roots)


def refused(reason: str, attempt: Callable[[], object]) -> None:
    with pytest.raises(BackupRefused) as caught:
        attempt()
    assert caught.value.reason == reason, caught.value


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Quarter:
    """Expired, signed and removed, with one hold."""
    made = Quarter(tmp_path_factory.mktemp("quarter"))
    made.vault.keeper.publish(NOW)
    made.hold("audit 7", START + timedelta(days=40), START + timedelta(days=44))
    assert made.expire() > 100
    made.vault.keeper.publish(NOW)
    return made


def moments() -> list[datetime]:
    chance = random.Random(11)
    return [START + timedelta(seconds=chance.randrange(0, DAYS * 24 * 3600 - 8 * 3600)) for _ in range(100)]


def test_every_moment_is_restored_exactly_or_refused_and_kept_ones_never_are(quarter: Quarter) -> None:
    reader = quarter.reader()
    holds = [HeldSpan(name="audit 7", since=START + timedelta(days=40), until=START + timedelta(days=44))]
    spans = kept_spans(reader.catalogue.points, quarter.vault.policy.retention, holds, NOW)
    assert {one.why for one in spans} == {"within", "daily", "weekly", "monthly", "hold audit 7"}
    kept = [min(one.since + part, quarter.end) for one in spans for part in (timedelta(), timedelta(hours=13))]
    kept = [at for at in kept if any(one.since <= at <= (one.until or NOW) for one in spans)]
    outcomes = {True: 0, False: 0}
    for at in (*kept, *moments()):
        whole = is_whole(reader.catalogue, at)
        outcomes[whole] += 1
        assert whole or at not in kept
        for partition in (EVENTS, STATE, CAPTURED):
            try:
                found = quarter.restored(reader, partition, at)
            except ConfigurationError:
                assert not whole
            else:
                assert found == quarter.expected(partition, at), (partition, at)
    assert min(outcomes.values()) > 20, outcomes


def test_removed_files_are_not_missed_and_nothing_else_is_removed(quarter: Quarter, tmp_path: Path) -> None:
    vault, keeper = quarter.vault, quarter.vault.keeper
    (copy,) = vault.copies.copies
    before = vault.files()
    assert keeper.remove_expired(NOW + timedelta(hours=23)) == 0
    later = NOW + timedelta(hours=25)
    removed = 0
    while step := keeper.remove_expired(later):
        removed += step
    after = vault.files()
    gone = before.keys() - after.keys()
    catalogue = quarter.reader().catalogue
    assert len(gone) == removed > 100
    assert gone == {path for one in catalogue.expiries for path in one.paths}
    assert {path.partition("/")[0] for path in gone} == {"segments", "snapshots"}
    report = verify_copy(copy, vault.root, tmp_path / "v", vault.people.holders["escrow"])
    assert report.is_sound and report.files == catalogue.count
    assert mend(vault.copies, catalogue) == 0 and vault.files().keys() == after.keys()
    # As after the loss of what it remembers: it looks once more, and finds nothing to take away that is needed.
    (vault.directory / "keeper" / "removed.json").unlink()
    again = vault.new_keeper()
    while again.remove_expired(later):
        pass
    assert {path for path in vault.files() if not path.startswith("audit")} == {
        path for path in after if not path.startswith("audit")
    }


def test_a_copy_that_keeps_its_files_by_lock_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    quarter = Quarter(tmp_path, days=60)
    quarter.expire()
    quarter.vault.keeper.publish(NOW)
    (copy,) = quarter.vault.copies.copies
    later, before = NOW + timedelta(hours=25), quarter.vault.files().keys()
    with monkeypatch.context() as locked:
        locked.setattr(type(copy), "remove", lambda _self, _path: False)
        assert quarter.vault.keeper.remove_expired(later) == 0
    assert "has expired: object lock? Tried again in a day" in caplog.text
    assert quarter.vault.keeper.remove_expired(later + timedelta(hours=1)) == 0
    assert quarter.vault.files().keys() == before
    assert quarter.vault.keeper.remove_expired(later + timedelta(hours=25)) > 0


def test_nothing_expires_unless_the_policy_says_so(tmp_path: Path) -> None:
    quarter = Quarter(tmp_path, RETENTION | {"enforce": False}, days=60)
    assert quarter.expire() == 0
    catalogue = quarter.creator.catalogue
    plan = expirable(catalogue, kept_spans(catalogue.points, quarter.vault.policy.retention, [], NOW))
    assert not plan.is_empty


def test_a_creator_that_lets_too_much_expire_is_refused_and_nothing_is_removed(tmp_path: Path) -> None:
    quarter = Quarter(tmp_path, days=30)
    vault, (segment, *_) = quarter.vault, quarter.creator.catalogue.segments[EVENTS]
    vault.keeper.publish(NOW)
    before = vault.files().keys()
    holds = segment.holds
    everything = ExpiredRange(topic=EVENTS.topic, partition=0, first_offset=0, end_offset=holds.end_offset)
    quarter.creator.commit(Progress(NOW, NOW, expired=Expiry(ranges=(everything,))))
    refused("expired_too_soon", lambda: vault.keeper.publish(NOW))
    assert vault.keeper.remove_expired(NOW + timedelta(days=9)) == 0
    assert vault.files().keys() - before == {f"metadata/targets/{quarter.creator.head.version:010d}.json"}


def test_an_open_hold_is_above_the_creators_policy(tmp_path: Path) -> None:
    quarter = Quarter(tmp_path, days=100)
    vault = quarter.vault
    catalogue = quarter.creator.catalogue
    plan = expirable(catalogue, kept_spans(catalogue.points, vault.policy.retention, [], NOW))
    quarter.hold("inquiry", START, NOW)
    vault.keeper.publish(NOW - timedelta(minutes=5))
    # A creator that does not ask for holds, or a hostile one.
    quarter.creator.commit(Progress(NOW, NOW, expired=plan))
    refused("expired_too_soon", lambda: vault.keeper.publish(NOW))


def test_holds_are_placed_and_released_by_those_who_may(tmp_path: Path) -> None:
    quarter = Quarter(tmp_path, days=60)
    vault, people = quarter.vault, quarter.vault.people
    quarter.hold("inquiry", START, NOW)
    assert quarter.expire() == 0
    record(vault.copies, people.officers[0], Deed(RELEASED, "inquiry", NOW), vault.roots)
    assert quarter.expire() > 0
    vault.keeper.publish(NOW)
    record(vault.copies, people.restorer, Deed(RELEASED, "other", NOW), vault.roots)
    refused("wrong_role", quarter.expire)
    refused("wrong_role", lambda: vault.keeper.publish(NOW))


@pytest.mark.parametrize(
    ("expired", "reason"),
    [
        (
            Expiry(ranges=(ExpiredRange(topic="orders.state", partition=0, first_offset=0, end_offset=1_000),)),
            "malformed",
        ),
        (Expiry(ranges=(ExpiredRange(topic="orders.state", partition=9, first_offset=0, end_offset=1),)), "malformed"),
        (Expiry(paths=("snapshots/nothing",)), "malformed"),
    ],
)
def test_an_expiry_of_what_is_not_there_is_refused(tmp_path: Path, expired: Expiry, reason: str) -> None:
    quarter = Quarter(tmp_path, days=1)
    refused(reason, lambda: quarter.creator.commit(Progress(NOW, NOW, expired=expired)))


def test_a_creator_cannot_run_ahead_of_time(tmp_path: Path) -> None:
    quarter = Quarter(tmp_path, days=1)
    quarter.creator.commit(Progress(NOW + timedelta(hours=2), None))
    # A clock that was set back does not go back in the backup.
    assert quarter.creator.commit(Progress(NOW, None)).committed_at == NOW + timedelta(hours=2)
    refused("time", lambda: quarter.vault.keeper.publish(NOW))


def test_the_last_points_of_periods_are_kept_by_receive_time() -> None:
    noon = datetime(2026, 3, 31, 12, tzinfo=UTC)
    points = [
        Point(number, noon - timedelta(hours=6 * number), noon - timedelta(hours=6 * number)) for number in range(400)
    ]
    points.reverse()
    retention = Retention(keep_within_days=1, daily=3, weekly=2, monthly=2, yearly=2)
    found: dict[str, list[datetime]] = {}
    for span in kept_spans(points, retention, [], noon):
        found.setdefault(span.why, []).append(span.since)
    assert found["daily"] == [datetime(2026, 3, day, 18, tzinfo=UTC) for day in (29, 30)] + [noon]
    assert found["weekly"] == [datetime(2026, 3, 29, 18, tzinfo=UTC), noon]
    assert found["monthly"] == [datetime(2026, 2, 28, 18, tzinfo=UTC), noon]
    assert found["yearly"] == [datetime(2025, 12, 31, 18, tzinfo=UTC), noon]
