"""What was written becomes durable behind the stream's back, the latest position last; a disk that refuses is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.cdc import log_sync
from producers.cdc.assembly_state import AssemblyState, Standing
from producers.cdc.changes import Position
from producers.cdc.log_sync import LogSync
from schemas.errors import Fatal


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    with AssemblyState(tmp_path / "rows", cached_nodes=10) as state:
        state.put_note(b"name", b"value")
        state.write(state.seal(Standing(Position(7), "layout", "server")), durable=False)
        yield state.directory


def test_every_log_and_their_directory_are_synchronized(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronized: list[Path] = []
    monkeypatch.setattr(log_sync, "_synchronize", synchronized.append)
    log_sync.synchronize(directory)
    logs = list(directory.glob("*.log"))
    assert logs, "RocksDB names its logs otherwise now"
    assert sum(path.stat().st_size for path in logs) > len(b"namevalue"), "what is written is in the file"
    assert synchronized == [*sorted(logs), directory]


def test_the_latest_position_is_reached_last(directory: Path) -> None:
    sync = LogSync(directory)
    try:
        assert (sync.pending, sync.reached(), sync.wait()) == (False, None, None)
        for number in range(1, 6):
            sync.request(Position(number))
        assert sync.pending
        assert sync.wait() == 5
        assert not sync.pending
    finally:
        sync.close()


def test_a_disk_that_refuses_stops_the_capture(directory: Path, tmp_path: Path) -> None:
    sync = LogSync(tmp_path / "missing")
    try:
        sync.request(Position(1))
        with pytest.raises(Fatal, match="cannot be made durable"):
            sync.wait()
    finally:
        sync.close()
