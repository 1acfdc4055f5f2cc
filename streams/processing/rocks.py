"""Local state on disk: an embedded RocksDB in a directory that one process at a time holds."""

from __future__ import annotations

import fcntl
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompactionStyle,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from schemas.errors import ConfigurationError, Fatal
from streams.processing.keyvalues import Change, Group

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FORMAT = "2"
_MIB = 1 << 20
_BLOCK_CACHE_BYTES = 32 * _MIB
_MEMTABLE_BYTES = 8 * _MIB
_RUNS = 8
_PLACES = 64


class DamagedStore(Fatal):
    """The local state cannot be used any more; it has been removed, and the next start reads it from Kafka."""


class RocksKeyValues:
    """`KeyValues` on the local disk.

    There is no write-ahead log and no fsync of single writes: Kafka has everything. RocksDB writes its memory tables
    down in the order of the writes, so a crash leaves the state after some earlier `write`, which is merely behind.
    """

    outlives_process = True

    def __init__(self, place: StorePlace) -> None:
        """Raises DamagedStore where the files cannot be read."""
        self._place = place
        self._write_options = WriteOptions()
        # The stubs call it a method; it is a property.
        self._write_options.disable_wal = True  # type: ignore[method-assign, assignment]
        self._db = self._guarded(lambda: Rdict(str(place.files), _options()))
        self._closed = False

    def get(self, group: Group, key: bytes) -> bytes | None:
        """See `KeyValues`."""
        try:
            value: bytes | None = self._db.get(group + key)
        except Exception as exc:
            raise self._condemned(exc) from exc
        return value

    def get_many(self, group: Group, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `KeyValues`."""
        try:
            values: Any = self._db.get([group + key for key in keys])
        except Exception as exc:
            raise self._condemned(exc) from exc
        return list(values)

    def write(self, changes: Iterable[Change]) -> None:
        """See `KeyValues`."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for group, key, value in changes:
            if value is None:
                batch.delete(group + key)
            else:
                put(group + key, value)
        try:
            self._db.write(batch, self._write_options)
        except Exception as exc:
            raise self._condemned(exc) from exc

    def scan(self, group: Group) -> Iterator[tuple[bytes, bytes]]:
        """See `KeyValues`."""
        options, start = ReadOptions(), len(group)
        options.set_iterate_upper_bound(_after(group))
        found: Iterator[Any] = self._guarded(lambda: self._db.items(from_key=group, read_opt=options))
        while (entry := self._guarded(lambda: next(found, None))) is not None:
            yield entry[0][start:], entry[1]

    def last(self, group: Group, key: bytes) -> bytes | None:
        """See `KeyValues`."""
        found: Any = self._guarded(lambda: next(self._db.items(backwards=True, from_key=group + key), None))
        return found[1] if found is not None and found[0].startswith(group) else None

    def clear(self, prefix: bytes) -> None:
        """See `KeyValues`."""
        self._guarded(lambda: self._db.delete_range(prefix, _after(prefix), self._write_options))

    def begin_bulk(self) -> None:
        """See `KeyValues`."""
        self._guarded(lambda: self._db.set_options({"disable_auto_compactions": "true"}))

    def end_bulk(self) -> None:
        """See `KeyValues`."""
        self._guarded(lambda: self._db.set_options({"disable_auto_compactions": "false"}))

    def flush(self) -> None:
        """See `KeyValues`."""
        self._guarded(self._db.flush)

    def close(self) -> None:
        """Write down what is in memory and let another process have the directory."""
        if not self._closed:
            self._closed = True
            self._guarded(self._db.flush)
            self._db.close()
            self._place.release()

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as exc:
            raise self._condemned(exc) from exc

    def _condemned(self, exc: Exception) -> DamagedStore:
        """What failed once is not trusted again: without its files the next start begins anew."""
        self._place.discard()
        return DamagedStore(
            f"the local state in {self._place.files} failed ({exc}) and was removed; start the worker again, it will "
            "read its state from Kafka. If this repeats, look after the disk or set ORDERSYNC_DATA_DIR to another one"
        )


class StorePlace:
    """A directory for the state of one process, held by a lock until the process ends.

    A worker with a slot finds the directory of its predecessor again. Without one, and where the predecessor still
    runs, it takes the first that is free: several workers may share a data directory.
    """

    def __init__(self, directory: Path, slot: str | None = None) -> None:
        """Raises ConfigurationError where the directory cannot be written, or everything in it is taken."""
        first = "0" if slot is None else f"slot-{slot}"
        for name in (first, *(f"{first}-{number}" for number in range(1, _PLACES))):
            lock = _locked(directory / f"{name}.lock")
            if lock is not None:
                self._lock: IO[bytes] = lock
                self.files = directory / f"{name}.rocksdb"
                self._discard_foreign()
                return
        raise ConfigurationError(f"{_PLACES} processes use {directory}: set ORDERSYNC_DATA_DIR to another directory")

    def discard(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.files, ignore_errors=True)

    def release(self) -> None:
        """Let another process have it."""
        self._lock.close()

    def _discard_foreign(self) -> None:
        layout = self.files.with_suffix(".format")
        if not layout.exists() or layout.read_text() != _FORMAT:
            self.discard()
            layout.write_text(_FORMAT)


def _locked(path: Path) -> IO[bytes] | None:
    """The open and locked file, None where another process has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("ab")
    except OSError as exc:
        raise ConfigurationError(f"the local state cannot be kept at {path}: {exc}; see ORDERSYNC_DATA_DIR") from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_size(8_192)
    table.set_format_version(5)
    # Filters and indexes stay beside this cache: a few bytes an order, which in the cache would drive one another out.
    table.set_block_cache(Cache(_BLOCK_CACHE_BYTES))
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(_MEMTABLE_BYTES)
    options.set_max_write_buffer_number(3)
    # Most keys that are asked for are new: without filters of their own the memory tables are searched for each.
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    # An order is written again and again for a while and then never: levels would rewrite the old with each wave.
    options.set_compaction_style(DBCompactionStyle.universal())
    options.set_level_zero_file_num_compaction_trigger(_RUNS)
    options.set_max_background_jobs(2)
    options.set_max_open_files(1_000)
    options.set_keep_log_file_num(2)
    options.set_stats_dump_period_sec(0)
    # Writers must not wait for compaction: a worker that stands still loses its partitions.
    options.set_level_zero_slowdown_writes_trigger(1_000)
    options.set_level_zero_stop_writes_trigger(2_000)
    return options


def _after(group: Group) -> bytes:
    """The least key that is greater than every key of the group."""
    countable = group.rstrip(b"\xff")
    return countable[:-1] + bytes([countable[-1] + 1])
