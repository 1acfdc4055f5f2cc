"""Whatever a hostile store does to a backup is refused, with the right reason."""

from __future__ import annotations

import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.vault.audit import Deed, record
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.client import Client
from consumers.backup.vault.encryption import wrap_name
from consumers.sink import Partition
from schemas.errors import BackupRefused
from tests.unit.backup_people import NOW, Vault

Files = dict[str, bytes]
PARTITIONS = [Partition("orders.events", 0), Partition("orders.events", 1), Partition("orders.state", 0)]
SEED = 20261121
MEMORY = Path("/dev/shm")


@dataclass
class Attacked:
    """A published backup, its state one publication earlier, and what a restorer remembers of each."""

    vault: Vault
    before: Files
    now: Files
    expected: list[tuple[Partition, ArchivedRecord]]

    def read(self, files: Files, remembers: str, trial: int) -> list[tuple[Partition, ArchivedRecord]]:
        """As a restorer reads it who remembers a state."""
        self.vault.overwrite(files)
        state = self.vault.directory / f"trial-{trial}"
        shutil.copytree(self.vault.directory / remembers, state, symlinks=True)
        catalogue = Catalogue()
        try:
            Client(self.vault.copies, self.vault.root, state).load(catalogue)
        finally:
            shutil.rmtree(state)
        reader = ArchiveReader(self.vault.copies, catalogue, self.vault.people.holders["restorer"])
        return [
            (partition, one)
            for partition in PARTITIONS
            for one in reader.records(partition, NOW + timedelta(days=9999))
        ]


@pytest.fixture(scope="module")
def attacked() -> Iterator[Attacked]:
    # Each case is a reader with a memory of its own: on a disk, thousands of them wait for it most of the time.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        yield _published(Vault(Path(directory)))


def _published(vault: Vault) -> Attacked:
    creator = vault.new_creator()
    offset = 0
    for number in range(3):
        if number == 2:
            vault.client("nothing").refresh()
            vault.client("before").refresh()
            before = vault.files()
        rows = [
            (partition, ArchivedRecord(one, 1_000 + one, 1, b"k%d" % one, b"v%d" % one))
            for one in range(offset, offset + 5)
            for partition in PARTITIONS
        ]
        vault.commit(creator, rows)
        record(
            vault.copies,
            vault.people.restorer,
            Deed("BackupRestored", str(number), NOW),
            vault.roots,
        )
        vault.keeper.publish(NOW + timedelta(seconds=number))
        offset += 5
    vault.client("now").refresh()
    (vault.directory / "nobody").mkdir()
    expected = [row for partition in PARTITIONS for row in vault.records if row[0] == partition]
    return Attacked(vault, before, vault.files(), expected)


def used(attacked: Attacked) -> Mapping[str, list[str]]:
    """The files that a restorer needs, by what they are."""
    own = wrap_name(str(attacked.vault.people.holders["restorer"].to_public()))
    return {
        "timestamp": [_newest(attacked.now, "metadata/timestamp")],
        "snapshot": [_newest(attacked.now, "metadata/snapshot")],
        "targets": _below(attacked.now, "metadata/targets"),
        "audit": _below(attacked.now, "audit"),
        "segments": _below(attacked.now, "segments"),
        "wraps": [path for path in _below(attacked.now, "sets") if path.endswith(own)],
    }


def _below(files: Files, folder: str) -> list[str]:
    return sorted(path for path in files if path.startswith(folder))


def _newest(files: Files, folder: str) -> str:
    return _below(files, folder)[-1]


# What each kind of file is refused with when its bytes are not those that were signed.
ALTERED = {
    "timestamp": {"unsigned", "malformed"},
    "snapshot": {"altered"},
    "targets": {"altered"},
    "audit": {"audit"},
    "segments": {"altered"},
    "wraps": {"wrong_key"},
}
MISSING = {
    # The newest number is then an older state, which that reader has seen a newer one of.
    "timestamp": {"rolled_back"},
    "snapshot": {"missing"},
    "targets": {"missing"},
    "audit": {"audit"},
    "segments": {"missing"},
    "wraps": {"no_wrap"},
}
Case = tuple[str, str, Files, set[str]]


def flips(attacked: Attacked, chance: random.Random) -> Iterator[Case]:
    for kind, paths in used(attacked).items():
        path = chance.choice(paths)
        flipped = attacked.now[path]
        while says_the_same(flipped, attacked.now[path]):
            content = bytearray(attacked.now[path])
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            flipped = bytes(content)
        yield kind, path, attacked.now | {path: flipped}, ALTERED[kind]


def says_the_same(one: bytes, other: bytes) -> bool:
    """Whether a flip left the meaning: JSON's spaces, and capitals in a signature's hexadecimal digits, carry none."""
    try:
        return bool(json.loads(one.lower()) == json.loads(other.lower()))
    except ValueError:
        return one == other


def truncations(attacked: Attacked, chance: random.Random) -> Iterator[Case]:
    for kind, paths in used(attacked).items():
        path = chance.choice(paths)
        content = attacked.now[path][: chance.randrange(len(attacked.now[path]))]
        reasons = {"segments": {"truncated"}, "timestamp": {"malformed"}}.get(kind, ALTERED[kind])
        yield kind, path, attacked.now | {path: content}, reasons


def swaps(attacked: Attacked, chance: random.Random) -> Iterator[Case]:
    for kind in ("targets", "audit", "segments"):
        one, other = chance.sample(used(attacked)[kind], 2)
        files = attacked.now | {one: attacked.now[other], other: attacked.now[one]}
        reasons = {"targets": {"altered"}, "audit": {"audit"}, "segments": {"altered", "truncated"}}[kind]
        yield kind, f"{one} <-> {other}", files, reasons


def drops(attacked: Attacked, chance: random.Random) -> Iterator[Case]:
    for kind, paths in used(attacked).items():
        path = chance.choice(paths)
        yield kind, path, {name: content for name, content in attacked.now.items() if name != path}, MISSING[kind]


def roll_backs(attacked: Attacked, _: random.Random) -> Iterator[Case]:
    yield "everything", "the state before", attacked.before, {"rolled_back"}
    kept = {name: content for name, content in attacked.before.items() if not name.startswith("metadata/timestamp")}
    stamps = {name: content for name, content in attacked.now.items() if name.startswith("metadata/timestamp")}
    yield "snapshot", "only the timestamp is new", kept | stamps, {"missing"}


def replays(attacked: Attacked, chance: random.Random) -> Iterator[Case]:
    stamps = _below(attacked.now, "metadata/timestamp")
    old = chance.choice(stamps[:-1])
    newest = int(re.findall(r"\d+", stamps[-1])[0]) + chance.randrange(1, 1000)
    path = f"metadata/timestamp/{newest:010d}.json"
    yield "timestamp", path, attacked.now | {path: attacked.now[old]}, {"rolled_back"}
    targets = _below(attacked.now, "metadata/targets")
    yield "targets", old, attacked.now | {targets[-1]: attacked.now[chance.choice(targets[:-1])]}, {"altered"}


def reorders(attacked: Attacked, chance: random.Random) -> Iterator[Case]:
    for kind in ("targets", "audit"):
        paths = used(attacked)[kind]
        mixed = paths[:]
        while mixed == paths:
            chance.shuffle(mixed)
        files = attacked.now | {one: attacked.now[other] for one, other in zip(paths, mixed, strict=True)}
        yield kind, "in another order", files, ALTERED[kind]


ATTACKS: list[Callable[[Attacked, random.Random], Iterator[Case]]] = [
    flips,
    truncations,
    swaps,
    drops,
    roll_backs,
    replays,
    reorders,
]


EACH = 286
"""Cases of an attack: 2,000 altogether."""


def test_an_untouched_backup_is_read_whole(attacked: Attacked) -> None:
    for remembers in ("before", "now", "nobody"):
        assert attacked.read(attacked.now, remembers, 0) == attacked.expected


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_every_attack_is_refused_with_its_reason(
    attacked: Attacked, attack: Callable[[Attacked, random.Random], Iterator[Case]]
) -> None:
    assert _attack(attacked, attack, EACH) >= EACH


@pytest.mark.long
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_every_attack_is_refused_with_its_reason_10_000(
    attacked: Attacked, attack: Callable[[Attacked, random.Random], Iterator[Case]]
) -> None:
    assert _attack(attacked, attack, 5 * EACH) >= 5 * EACH


def _attack(attacked: Attacked, attack: Callable[[Attacked, random.Random], Iterator[Case]], least: int) -> int:
    done = 0
    while done < least:
        for kind, what, files, reasons in attack(attacked, random.Random(SEED + done)):
            done += 1
            told = f"{attack.__name__} {kind} {what}"
            # A file that the restorer has seen before is not read again, and a state that is as old as what it
            # remembers is not older. So each attack meets the memory that it could deceive.
            remembers = "now" if attack in (roll_backs, replays) or reasons == {"rolled_back"} else "before"
            try:
                found = attacked.read(files, remembers, done)
            except BackupRefused as exc:
                assert exc.reason in reasons, f"{told}: {exc.reason}: {exc}"
            else:
                pytest.fail(f"{told} was not noticed: {'the same' if found == attacked.expected else 'other'} records")
    return done


def test_a_reader_without_memory_takes_an_older_state_until_it_expires(attacked: Attacked) -> None:
    older = attacked.read(attacked.before, "nobody", 0)
    assert set(older) < set(attacked.expected)
