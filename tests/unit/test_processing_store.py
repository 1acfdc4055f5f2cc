"""Local state against a dict: never ahead of what is committed, exact after recovery, whatever is killed when."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.attributes import OrderId
from schemas.models import AwaitedRecord, ParkedOrder
from schemas.topics import CUSTOMERS, ORDER_STATE, PARKED
from streams.processing.checkpoints import (
    TRUSTED_FOR,
    Changelog,
    Checkpoint,
    Mark,
    Marks,
    Span,
    checkpoint_of,
    no_checkpoint,
)
from streams.processing.keyvalues import Change, KeyValues, MemoryKeyValues
from streams.processing.rocks import DamagedStore, RocksKeyValues, StorePlace
from streams.processing.store import CHANGELOG_TOPICS, StoreView, WorkerState, group_of
from tests.unit.order_lives import BEGIN
from tests.unit.processing_desk import codecs

ORDERS = [OrderId(f"crm:{number}") for number in range(2)]
PARTITIONS = (0, 1)
TOPIC_ID = "1:2"

order_ids = st.sampled_from(ORDERS)
partitions = st.sampled_from(PARTITIONS)
batches = st.lists(st.tuples(order_ids, st.sampled_from(["version", "wait", "go on"])), min_size=1, max_size=4)


def place(order_id: OrderId, number: int) -> ParkedOrder:
    """An order that waits."""
    awaits = [AwaitedRecord(topic=CUSTOMERS, key=f"C{number % 3}")]
    at = BEGIN + timedelta(seconds=number)
    return ParkedOrder(order_id=order_id, awaits=awaits, parked_at=at, deadline_at=at, held=[])


@dataclass
class Log:
    """One partition of a changelog, as the brokers have it: committed records, and nothing of aborted ones."""

    records: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    def latest(self) -> dict[bytes, bytes]:
        """What a subscriber who reads it all has in the end."""
        found: dict[bytes, bytes] = {}
        for key, value in self.records:
            found.pop(key, None)
            if value is not None:
                found[key] = value
        return found


class CrashingValues(MemoryKeyValues):
    """As RocksDB without a write-ahead log: a crash leaves the state after some earlier write."""

    outlives_process = True

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Callable[[MemoryKeyValues], None]] = []

    def write(self, changes: Iterable[Change]) -> None:
        made = list(changes)
        self.log.append(lambda values: values.write(made))
        super().write(made)

    def clear(self, prefix: bytes) -> None:
        self.log.append(lambda values: values.clear(prefix))
        super().clear(prefix)

    def after_crash(self, surviving: int) -> CrashingValues:
        """What is found again when only so many writes came to the disk."""
        found = CrashingValues()
        for change in self.log[:surviving]:
            found.log.append(change)
            change(found._plain)
        return found

    @property
    def _plain(self) -> MemoryKeyValues:
        plain = MemoryKeyValues()
        plain._groups = self._groups
        return plain


class LocalStateAgainstTheTopics(RuleBasedStateMachine):
    """A worker whose transactions commit, abort or end unknown, which is killed between any two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = {Changelog(topic, number): Log() for topic in CHANGELOG_TOPICS for number in PARTITIONS}
        self.topic_id = TOPIC_ID
        self.number = 0
        self.values = CrashingValues()
        self.start(list(PARTITIONS))

    @initialize(held=st.sets(partitions, min_size=1))
    def begin(self, held: set[int]) -> None:
        self.start(sorted(held))

    def start(self, held: list[int]) -> None:
        """A process comes to life and is given partitions."""
        self.worker = WorkerState(self.values, codecs().parked, recent_bytes=64)
        self.pending: dict[Changelog, list[tuple[bytes, bytes | None]]] = {log: [] for log in self.logs}
        self.marks = Marks()
        self.fenced = False
        self.assign(held, kept=[])

    def assign(self, held: list[int], kept: list[int]) -> None:
        self.worker.retain(kept)
        for number in set(held) - self.worker.partitions.keys():
            self.recover(number)
            self.worker.open(number)

    def recover(self, number: int, records: int = 10_000) -> None:
        """As `Recovery` does, without Kafka; ends early after so many records."""
        for topic in CHANGELOG_TOPICS:
            changelog = Changelog(topic, number)
            log, group = self.logs[changelog], group_of(changelog)
            checkpoint = checkpoint_of(self.values, changelog)
            span = Span(0, len(log.records))
            if checkpoint is None or checkpoint.distrust(self.topic_id, span, BEGIN) is not None:
                self.values.write([no_checkpoint(changelog)])
                self.values.clear(group)
                start = 0
            else:
                start = checkpoint.offset
            for key, value in log.records[start : start + records]:
                self.values.write([(group, key, value)])
            if start + records >= len(log.records):
                self.values.write([Checkpoint(self.topic_id, len(log.records), BEGIN).change(changelog)])

    # -- what a worker does -------------------------------------------------------------------------------

    @rule(number=partitions, batch=batches)
    def write(self, number: int, batch: list[tuple[OrderId, str]]) -> None:
        """One batch: it sees what was applied before it, and its outputs are in the transaction."""
        store = self.worker.partitions.get(number)
        if store is None:
            return
        view = StoreView(store)
        for order_id, what in batch:
            self.number += 1
            key = order_id.encode() + bytes([number])
            name = OrderId(key.decode())
            if what == "version":
                message = b"%d" % self.number
                view.put_state(name, message)
                self.pending[Changelog(ORDER_STATE, number)].append((key, message))
                assert view.state(name) == message
            else:
                waits = place(name, self.number) if what == "wait" else None
                view.put_parked(name, waits)
                encoded = None if waits is None else codecs().parked.encode(waits)
                self.pending[Changelog(PARKED, number)].append((key, encoded))
                assert view.parked(name) == waits
        view.apply()

    def publish(self) -> None:
        """The brokers have committed the transaction."""
        for changelog, records in self.pending.items():
            self.logs[changelog].records += records
            records.clear()

    @precondition(lambda self: not self.fenced)
    @rule(fenced_before_the_answer=st.booleans(), other=st.tuples(partitions, order_ids, st.booleans()))
    def commit(self, fenced_before_the_answer: bool = False, other: tuple[int, OrderId, bool] | None = None) -> None:
        """The brokers commit, and the worker is told; it may have lost its partitions in between."""
        self.publish()
        if fenced_before_the_answer and other is not None:
            self.fenced = True
            self.write_elsewhere(*other)
            self.ask_for_the_ends()
        certain = self.marks.confirmed(self.worker.partitions, dict.fromkeys(CHANGELOG_TOPICS, self.topic_id))
        self.worker.committed(certain)

    @rule()
    def ask_for_the_ends(self) -> None:
        ends = {
            log: len(records.records) for log, records in self.logs.items() if log.partition in self.worker.partitions
        }
        self.marks.answered(Mark(ends, BEGIN))

    @rule(outcome=st.sampled_from(["aborted", "committed after all"]))
    def lose_the_commit(self, outcome: str) -> None:
        """The commit failed, or the brokers had it and did not answer: all is loaded again."""
        if outcome == "committed after all" and not self.fenced:
            self.publish()
        held = sorted(self.worker.partitions)
        self.fenced = False
        for records in self.pending.values():
            records.clear()
        self.assign(held, kept=[])

    @precondition(lambda self: not self.fenced)
    @rule(held=st.sets(partitions))
    def rebalance(self, held: set[int]) -> None:
        """Partitions move after a clean commit."""
        self.commit()
        before = set(self.worker.partitions)
        self.assign(sorted(held), kept=sorted(held & before))

    @rule()
    def be_fenced(self) -> None:
        """The worker stands still, and the group gives its partitions to another one: it cannot know yet."""
        self.fenced = True

    @rule(number=partitions, order_id=order_ids, is_version=st.booleans())
    def let_another_worker_write(self, number: int, order_id: OrderId, is_version: bool) -> None:
        """Only where this one does not hold the partition."""
        if self.fenced or number not in self.worker.partitions:
            self.write_elsewhere(number, order_id, is_version)

    def write_elsewhere(self, number: int, order_id: OrderId, is_version: bool) -> None:
        self.number += 1
        key = order_id.encode() + bytes([number])
        topic = ORDER_STATE if is_version else PARKED
        waits = codecs().parked.encode(place(OrderId(key.decode()), self.number))
        self.logs[Changelog(topic, number)].records.append((key, b"%d" % self.number if is_version else waits))

    @rule(data=st.data(), published=st.booleans(), held=st.sets(partitions, min_size=1), records=st.integers(0, 6))
    def kill(self, data: st.DataObject, published: bool, held: set[int], records: int) -> None:
        """kill -9 between any two writes to the disk; then killed again in the middle of recovery."""
        if published and not self.fenced:
            self.publish()
        surviving = data.draw(st.integers(0, len(self.values.log)))
        self.values = self.values.after_crash(surviving)
        for number in held:
            self.recover(number, records)
        self.values = self.values.after_crash(data.draw(st.integers(surviving, len(self.values.log))))
        self.start(sorted(held))

    @precondition(lambda self: any(log.records for log in self.logs.values()))
    @rule(held=st.sets(partitions, min_size=1))
    def make_the_topics_anew(self, held: set[int]) -> None:
        self.topic_id += "'"
        for log in self.logs.values():
            log.records.clear()
        self.start(sorted(held))

    # -- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def local_state_is_what_is_committed(self) -> None:
        for changelog, log in self.logs.items():
            if changelog.partition in self.worker.partitions and not self.fenced:
                assert dict(self.values.scan(group_of(changelog))) == log.latest(), changelog

    @invariant()
    def stores_see_what_is_committed_and_applied(self) -> None:
        for number, store in self.worker.partitions.items() if not self.fenced else ():
            seen = {}
            for topic in CHANGELOG_TOPICS:
                changelog = Changelog(topic, number)
                seen[topic] = Log(self.logs[changelog].records + self.pending[changelog]).latest()
            for order_id in ORDERS:
                key = order_id.encode() + bytes([number])
                name = OrderId(key.decode())
                assert store.state(name) == seen[ORDER_STATE].get(key)
                waits = store.parked(name)
                assert (None if waits is None else codecs().parked.encode(waits)) == seen[PARKED].get(key)
            assert len(store.waiting) == len(seen[PARKED])
            waiting = {name for key in store.waiting.awaited() for name in store.waiting_for([key])}
            assert {name.encode() for name in waiting} == seen[PARKED].keys()


TestLocalState = LocalStateAgainstTheTopics.TestCase
TestLocalState.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


# -- single facts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic_id", "span", "later", "reason"),
    [
        (TOPIC_ID, Span(0, 7), timedelta(hours=1), None),
        (TOPIC_ID, Span(0, 9), timedelta(hours=1), None),
        ("another", Span(0, 7), timedelta(hours=1), "the topic was made anew"),
        (TOPIC_ID, Span(0, 6), timedelta(hours=1), "the topic has lost records"),
        (TOPIC_ID, Span(8, 9), timedelta(hours=1), "records were deleted from the topic"),
        (TOPIC_ID, Span(0, 7), TRUSTED_FOR, "it is of 2026-11-21T09:00:00+00:00"),
        (TOPIC_ID, Span(0, 7), -timedelta(days=1), "it is of 2026-11-21T09:00:00+00:00"),
    ],
)
def test_checkpoint_is_used_only_where_nothing_can_have_been_missed(
    topic_id: str, span: Span, later: timedelta, reason: str | None
) -> None:
    assert Checkpoint(TOPIC_ID, 7, BEGIN).distrust(topic_id, span, BEGIN + later) == reason


def opened(kind: str, directory: Path) -> KeyValues:
    return MemoryKeyValues() if kind == "memory" else RocksKeyValues(StorePlace(directory))


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
def test_a_view_that_foresees_gives_what_asking_one_by_one_gives(kind: str, tmp_path: Path) -> None:
    state = WorkerState(opened(kind, tmp_path), codecs().parked)
    store = state.open(0)
    on_disk, recent, uncommitted, unknown = (OrderId(f"crm:{number}") for number in range(4))
    for order_id in (on_disk, recent):
        store.apply({order_id: order_id.encode()}, {})
        state.committed({})
        if order_id == on_disk:
            state.recent.clear()
    store.apply({uncommitted: b"uncommitted"}, {})
    asked = [on_disk, recent, uncommitted, unknown]
    one_by_one, foreseeing = StoreView(store), StoreView(store)
    foreseeing.foresee(asked)
    found = [foreseeing.state(order_id) for order_id in asked]
    assert found == [one_by_one.state(order_id) for order_id in asked]
    assert found == [b"crm:0", b"crm:1", b"uncommitted", None]
    foreseeing.put_state(unknown, b"made in this batch")
    assert foreseeing.state(unknown) == b"made in this batch"
    state.values.close()


@pytest.mark.parametrize("kind", ["memory", "rocksdb"])
def test_values_are_found_scanned_and_cleared_by_group(kind: str, tmp_path: Path) -> None:
    values = opened(kind, tmp_path)
    values.write([(b"a\xff", b"k%d" % number, b"%d" % number) for number in (2, 1, 3)])
    values.write([(b"b", b"k1", b"other"), (b"b", b"", b""), (b"a\xff", b"k2", None)])
    assert (values.get(b"a\xff", b"k1"), values.get(b"a\xff", b"k2"), values.get(b"b", b"")) == (b"1", None, b"")
    assert values.get_many(b"a\xff", [b"k3", b"k2", b"k1", b"k3"]) == [b"3", None, b"1", b"3"]
    assert (values.get_many(b"a\xff", []), values.get_many(b"c", [b"k1"])) == ([], [None])
    assert list(values.scan(b"a\xff")) == [(b"k1", b"1"), (b"k3", b"3")]
    assert [values.last(b"a\xff", key) for key in (b"k0", b"k1", b"k2", b"k9")] == [None, b"1", b"1", b"3"]
    values.clear(b"a\xff")
    assert (list(values.scan(b"a\xff")), list(values.scan(b"b"))) == ([], [(b"", b""), (b"k1", b"other")])
    values.close()


def test_a_process_finds_its_predecessors_place_and_shares_the_directory_with_others(tmp_path: Path) -> None:
    first = RocksKeyValues(StorePlace(tmp_path))
    first.write([(b"a", b"k", b"first")])
    second = RocksKeyValues(StorePlace(tmp_path))
    slot = RocksKeyValues(StorePlace(tmp_path, "3"))
    assert (second.get(b"a", b"k"), slot.get(b"a", b"k")) == (None, None)
    first.close()
    again = RocksKeyValues(StorePlace(tmp_path))
    assert again.get(b"a", b"k") == b"first"
    for values in (again, second, slot):
        values.close()


def test_place_of_another_layout_is_begun_anew(tmp_path: Path) -> None:
    values = RocksKeyValues(StorePlace(tmp_path))
    values.write([(b"a", b"k", b"old")])
    values.close()
    (tmp_path / "0.format").write_text("0")
    values = RocksKeyValues(StorePlace(tmp_path))
    assert values.get(b"a", b"k") is None
    values.close()


def test_damaged_files_end_the_worker_once_and_are_gone_at_the_next_start(tmp_path: Path) -> None:
    values = RocksKeyValues(StorePlace(tmp_path))
    values.write([(b"a", b"k%d" % number, bytes(100)) for number in range(10_000)])
    values.close()
    for table in tmp_path.glob("*.rocksdb/*.sst"):
        table.write_bytes(b"\xaa" * table.stat().st_size)
    place = StorePlace(tmp_path)
    with pytest.raises(DamagedStore, match="start the worker again"):
        damaged = RocksKeyValues(place)
        damaged.get(b"a", b"k1")
    place.release()
    values = RocksKeyValues(StorePlace(tmp_path))
    assert values.get(b"a", b"k1") is None
    values.close()


_WRITER = """
import sys
from pathlib import Path
from streams.processing.keyvalues import Change
from streams.processing.rocks import RocksKeyValues, StorePlace
values = RocksKeyValues(StorePlace(Path(sys.argv[1])))
for number in range(1_000_000):
    values.write([(b"a", b"%06d" % number, bytes(1_000)), (b"c", b"last", b"%d" % number)])
    if number % 1_000 == 0:
        print(number, flush=True)
"""


def test_kill_leaves_the_state_after_an_earlier_write(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        written = next(number for number in map(int, writer.stdout) if number >= 40_000)
        writer.kill()
    values = RocksKeyValues(StorePlace(tmp_path))
    last = int(values.get(b"c", b"last") or -1)
    print(f"{last} of at least {written} writes are left")
    assert last > 0
    assert [int(key) for key, _ in values.scan(b"a")] == list(range(last + 1))
    values.close()
