"""Bytes by key on the local disk: an embedded RocksDB that one process at a time holds, and that may be lost."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeVar

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

T = TypeVar("T")
_MIB: Final = 1 << 20
_FORMAT: Final = "3"


class DamagedPicture(Fatal):
    """The local files cannot be used; they were removed, and the next start makes them anew from Kafka."""


class Disk:
    """Keys and values in order of the keys.

    There is no write-ahead log: a crash leaves the state after some earlier `write`, and all is made anew from Kafka
    and the databases where it is gone.
    """

    def __init__(self, directory: Path) -> None:
        """Raises ConfigurationError where the directory cannot be used, DamagedPicture where its files are broken."""
        self._files = directory / f"picture-{_FORMAT}.rocksdb"
        self._lock = _locked(directory / "picture.lock")
        for older in set(directory.glob("picture-*.rocksdb")) - {self._files}:
            shutil.rmtree(older, ignore_errors=True)
        self._unlogged = WriteOptions()
        # The stubs call it a method; it is a property.
        self._unlogged.disable_wal = True  # type: ignore[method-assign, assignment]
        self._db = self._guarded(lambda: Rdict(str(self._files), _options()))

    def get(self, key: bytes) -> bytes | None:
        """The value of one key."""
        value: bytes | None = self._guarded(lambda: self._db.get(key))
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of these keys, at less cost than one by one."""
        values: Any = self._guarded(lambda: self._db.get(list(keys)))
        return list(values)

    def write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Make all changes, or none; a value of None removes the key."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._guarded(lambda: self._db.write(batch, self._unlogged))

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin so, without that beginning, and their values."""
        options, start = ReadOptions(), len(prefix)
        options.set_iterate_upper_bound(_after(prefix))
        found: Iterator[Any] = self._guarded(lambda: self._db.items(from_key=prefix, read_opt=options))
        while (entry := self._guarded(lambda: next(found, None))) is not None:
            yield entry[0][start:], entry[1]

    def clear(self) -> None:
        """Remove everything."""
        self._guarded(lambda: self._db.delete_range(b"\x00", b"\xff", self._unlogged))

    def flush(self) -> None:
        """Write down what a crash would lose."""
        self._guarded(self._db.flush)

    def close(self) -> None:
        """Write everything down and let another process have the directory."""
        self._guarded(self._db.flush)
        self._db.close()
        self._lock.close()

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as exc:
            # What failed once is not trusted again.
            shutil.rmtree(self._files, ignore_errors=True)
            raise DamagedPicture(
                f"the picture in {self._files} failed ({exc}) and was removed; start the worker again, it will be made "
                "anew. If this repeats, look after the disk or set ORDERSYNC_DATA_DIR to another one"
            ) from exc


def _locked(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        lock.close()
        raise ConfigurationError(
            f"another process reconciles with the files in {path.parent}: one is enough, or set ORDERSYNC_DATA_DIR"
        ) from exc
    except OSError as exc:
        raise ConfigurationError(f"the picture cannot be kept at {path}: {exc}; see ORDERSYNC_DATA_DIR") from exc
    return lock


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_size(8_192)
    table.set_block_cache(Cache(32 * _MIB))
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(16 * _MIB)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_compaction_style(DBCompactionStyle.universal())
    options.set_max_background_jobs(2)
    options.set_max_open_files(1_000)
    options.set_keep_log_file_num(2)
    options.set_stats_dump_period_sec(0)
    return options


def _after(prefix: bytes) -> bytes:
    """The least key that is greater than every key that begins so."""
    countable = prefix.rstrip(b"\xff")
    return countable[:-1] + bytes([countable[-1] + 1])
