"""What the API knows of orders: a copy of topics on the local disk, which may be lost and is then read again.

| Key | Value |
|---|---|
| `s` order | latest value of `orders.state`, as it came |
| `t` order NUL version | one step of the order's time line |
| `w` order | requests that wait, and for what: `orders.parked` |
| `q` request | an accepted request |
| `r` request | why the rules refused it |
| `x` second request | when it may be forgotten |
| `k` vendor:product | latest value of `vendors.stock`, as it came |
| `m` topic:partition | offset to go on from, written together with what was before it |
"""

from __future__ import annotations

import fcntl
import shutil
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, ReadOptions, WriteBatch, WriteOptions

from producers.api.requests import AcceptedRequest, RequestId
from schemas.attributes import OrderId
from schemas.errors import ConfigurationError, Fatal

_FORMAT = "1"
_CACHE_BYTES = 32 * 1024 * 1024
_MEMTABLE_BYTES = 16 * 1024 * 1024
_PLACES = 64
_STALE_SECONDS = 6 * 24 * 60 * 60
"""Tombstones live for seven days: a copy that was away for longer may have missed one."""
_SECOND = struct.Struct(">Q")
_VERSION = struct.Struct(">I")


@dataclass(slots=True)
class Changes:
    """What some records change; written at once with their offsets."""

    values: dict[bytes, bytes | None] = field(default_factory=dict)
    orders: set[OrderId] = field(default_factory=set)
    """Orders of which there is news."""
    requests: list[AcceptedRequest] = field(default_factory=list)

    def state(self, order_id: OrderId, value: bytes | None) -> None:
        """The latest state of an order."""
        self.values[b"s" + order_id.encode()] = value
        self.orders.add(order_id)

    def step(self, order_id: OrderId, version: int, told: bytes) -> None:
        """One version of an order."""
        self.values[b"t" + order_id.encode() + b"\0" + _VERSION.pack(version)] = told
        self.orders.add(order_id)

    def waiting(self, order_id: OrderId, told: bytes | None) -> None:
        """What of an order waits."""
        self.values[b"w" + order_id.encode()] = told
        self.orders.add(order_id)

    def accepted(self, request: AcceptedRequest) -> None:
        """A request that is in the log."""
        key = UUID(request.request_id).bytes
        self.values[b"q" + key] = request.packed()
        self.values[b"x" + _SECOND.pack(int(request.accepted_at.timestamp())) + key] = b""
        self.requests.append(request)

    def refused(self, request: AcceptedRequest, told: bytes) -> None:
        """The rules refused a request."""
        self.values[b"r" + UUID(request.request_id).bytes] = told
        self.orders.add(request.order_id)

    def stock(self, key: str, value: bytes | None) -> None:
        """What a vendor has of a product."""
        self.values[b"k" + key.encode()] = value

    def offset(self, topic: str, partition: int, offset: int) -> None:
        """Where to go on."""
        self.values[f"m{topic}:{partition}".encode()] = _SECOND.pack(offset)


class OrderStore:
    """The copy of one worker; reads and writes may come from several threads.

    There is no write-ahead log: RocksDB writes its memory tables down in the order of the writes, so that a killed
    worker finds an older copy whose offsets fit, and reads the rest again.
    """

    def __init__(self, directory: Path, cluster_id: str) -> None:
        """`cluster_id` names the cluster that the copy is of.

        Raises:
            ConfigurationError: the directory cannot be written.
        """
        self._lock, self._files = _place(directory)
        identity = f"{_FORMAT} {cluster_id}"
        seen = self._files.with_suffix(".of")
        if not seen.exists() or seen.read_text() != identity or time.time() - seen.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(self._files, ignore_errors=True)
        seen.write_text(identity)
        self._seen = seen
        self._writing = WriteOptions()
        # The stubs call it a method; it is a property.
        self._writing.disable_wal = True  # type: ignore[method-assign, assignment]
        try:
            self._db = Rdict(str(self._files), _options())
        except Exception as exc:
            shutil.rmtree(self._files, ignore_errors=True)
            raise Fatal(f"the copy of the orders in {self._files} was damaged and removed; start again: {exc}") from exc

    def write(self, changes: Changes) -> None:
        """All of it, or none after a crash."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.values.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._db.write(batch, self._writing)

    def offset(self, topic: str, partition: int) -> int | None:
        """Where the copy ends."""
        found = self._get(f"m{topic}:{partition}".encode())
        return None if found is None else int(_SECOND.unpack(found)[0])

    def state(self, order_id: OrderId) -> bytes | None:
        """The latest state, in the wire format."""
        return self._get(b"s" + order_id.encode())

    def waiting(self, order_id: OrderId) -> bytes | None:
        """What of the order waits."""
        return self._get(b"w" + order_id.encode())

    def stock(self, key: str) -> bytes | None:
        """What a vendor has of a product, in the wire format."""
        return self._get(b"k" + key.encode())

    def request(self, request_id: RequestId) -> AcceptedRequest | None:
        """An accepted request."""
        found = self._get(b"q" + UUID(request_id).bytes)
        return None if found is None else AcceptedRequest.unpacked(found)

    def refusal(self, request_id: RequestId) -> bytes | None:
        """Why a request was refused."""
        return self._get(b"r" + UUID(request_id).bytes)

    def steps(self, order_id: OrderId) -> Iterator[Any]:
        """The time line, oldest first."""
        start = b"t" + order_id.encode() + b"\0"
        options = ReadOptions()
        options.set_iterate_upper_bound(start[:-1] + b"\1")
        yield from self._db.values(from_key=start, read_opt=options)

    def forget(self, before_second: float) -> int:
        """Forget requests that were accepted before a time; gives how many."""
        options = ReadOptions()
        options.set_iterate_upper_bound(b"x" + _SECOND.pack(max(0, int(before_second))))
        old: list[Any] = list(self._db.keys(from_key=b"x", read_opt=options))
        changes = Changes()
        for key in old:
            request = key[1 + _SECOND.size :]
            changes.values |= {key: None, b"q" + request: None, b"r" + request: None}
        self.write(changes)
        self._seen.touch()
        return len(old)

    def close(self) -> None:
        """Write down what is in memory and let another process have the directory."""
        self._db.flush()
        self._db.close()
        self._seen.touch()
        self._lock.close()

    def _get(self, key: bytes) -> bytes | None:
        found: bytes | None = self._db.get(key)
        return found


def _place(directory: Path) -> tuple[IO[bytes], Path]:
    """The first place in the directory that no other process has; held until the process ends."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(_PLACES):
            lock = (directory / f"api-{number}.lock").open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                return lock, directory / f"api-{number}.rocksdb"
    except OSError as exc:
        raise ConfigurationError(f"the copy of the orders cannot be kept in {directory}: {exc}") from exc
    raise ConfigurationError(f"{_PLACES} processes use {directory}: set ORDERSYNC_DATA_DIR to another directory")


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_cache(Cache(_CACHE_BYTES))
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(_MEMTABLE_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_max_open_files(500)
    options.set_keep_log_file_num(2)
    return options
