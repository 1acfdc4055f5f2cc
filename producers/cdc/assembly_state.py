"""Keeps the assembled rows in RocksDB, together with the log position that they are exact for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from heapq import merge
from marshal import dumps, loads
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from producers.cdc.aggregates import Node, NodeId
from producers.cdc.changes import Position
from producers.cdc.rows import KeptRow
from producers.cdc.spilling import MOVING, Spill, moving
from producers.cdc.tables import RowKey
from schemas.errors import Fatal

_FORMAT: Final = 2
_MARSHAL_VERSION: Final = 2
"""The last version without references between objects: quickest to write, and read by every later Python."""
_NODE, _PARENT, _NOTE, _META = b"n", b"p", b"x", b"m"
_MEBIBYTE: Final = 1 << 20


class Standing(NamedTuple):
    """What the rows are exact for: a log position, a layout of the mapping, a server."""

    position: Position
    layout: str
    system_id: str


class Removed:
    """Stands for the removed values of one seal; another seal has another instance, so that they are told apart."""

    __slots__ = ()


class SealedState(NamedTuple):
    """All that changed up to a position, as bytes; written whole or not at all."""

    standing: Standing
    values: dict[bytes, bytes | Removed]
    generation: int = 0
    """Of the values that were spilled before, 0 if none were."""


class AssemblyState:
    """The rows of one source. One thread; one process at a time (RocksDB's lock).

    Changes stay in memory until `seal` and `write`: what is read meanwhile is the newest, what is durable is the
    last state written. After a crash it is exact for the position written with it.
    """

    def __init__(self, directory: Path, *, cached_nodes: int) -> None:
        """Open or create. Raises Fatal if the directory cannot be used."""
        self.directory = directory
        self._db = _opened(directory)
        self._cached_nodes = cached_nodes
        self._young: dict[NodeId, Node] = {}
        self._old: dict[NodeId, Node] = {}
        self._dirty: dict[NodeId, Node] = {}
        self._dirty_parents: dict[NodeId, tuple[RowKey | None, KeptRow | None] | None] = {}
        self._dirty_notes: dict[bytes, bytes | None] = {}
        self._unwritten: dict[bytes, bytes | Removed] = {}
        self._spill = Spill(self._db)
        self._generation = 0
        self._durable = WriteOptions()
        self._durable.sync = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; what was not written is forgotten."""
        self._db.close()

    @property
    def standing(self) -> Standing | None:
        """What was written last, None for a new or foreign state."""
        value = self._db.get(_META)
        if value is None:
            return None
        version, *standing = loads(value)
        if version != _FORMAT:
            return None
        return Standing(*standing)

    @property
    def changed_nodes(self) -> int:
        """How many nodes changed since the last `seal`."""
        return len(self._dirty)

    def node(self, node_id: NodeId) -> Node:
        """See `NodeStore`."""
        node = self._young.get(node_id)
        if node is not None:
            return node
        node = self._old.get(node_id) or self._dirty.get(node_id)
        if node is None:
            value = self._value(_NODE + node_id)
            node = Node(None, {}, {}) if value is None else Node(*loads(value))
        self._remember(node_id, node)
        return node

    def changed(self, node_id: NodeId, node: Node) -> None:
        """See `NodeStore`."""
        self._dirty[node_id] = node
        if node_id in self._young:
            self._young[node_id] = node
        else:
            self._remember(node_id, node)

    def nodes(self, prefix: bytes) -> Iterator[NodeId]:
        """See `NodeStore`."""
        changed = {node_id for node_id in self._dirty if node_id.startswith(prefix)}
        yield from self._ids(_NODE + prefix, changed)

    def parent_of(self, row_id: NodeId) -> tuple[RowKey | None, KeptRow | None] | None:
        """See `NodeStore`."""
        if row_id in self._dirty_parents:
            return self._dirty_parents[row_id]
        value = self._value(_PARENT + row_id)
        if value is None:
            return None
        parent, row = loads(value)
        return parent, row

    def put_parent(self, row_id: NodeId, parent: tuple[RowKey | None, KeptRow | None] | None) -> None:
        """See `NodeStore`."""
        self._dirty_parents[row_id] = parent

    def parented(self, prefix: bytes) -> Iterator[NodeId]:
        """See `NodeStore`."""
        changed = {row_id for row_id in self._dirty_parents if row_id.startswith(prefix)}
        yield from self._ids(_PARENT + prefix, changed)

    def note(self, name: bytes) -> bytes | None:
        """A note that is kept beside the rows (see `put_note`), None if there is none."""
        if name in self._dirty_notes:
            return self._dirty_notes[name]
        return self._value(_NOTE + name)

    def written_note(self, name: bytes) -> bytes | None:
        """The note as it was written last, with the rows that were sealed with it; None if there is none."""
        value: bytes | None = self._db.get(_NOTE + name)
        return value

    def put_note(self, name: bytes, value: bytes | None) -> None:
        """Keep a note from the next seal on, in one batch with the rows and their position; None forgets it."""
        self._dirty_notes[name] = value

    def notes(self, prefix: bytes) -> Iterator[bytes]:
        """Names of all notes that begin so, in order; the notes may be changed meanwhile."""
        changed = {name for name in self._dirty_notes if name.startswith(prefix)}
        for name in self._ids(_NOTE + prefix, changed):
            if self.note(name) is not None:
                yield name

    def spill(self) -> None:
        """Put the changed nodes on disk, so that a large transaction is not held in memory; they stay unsealed.

        Called within a transaction. What follows a crash is as if nothing of it had come.
        """
        values: dict[bytes, bytes | None] = {}
        for node_id, node in self._dirty.items():
            whole = (node.row, node.children, node.emitted)
            values[_NODE + node_id] = None if node.empty else _bytes_of(whole)
        for row_id, parent in self._dirty_parents.items():
            values[_PARENT + row_id] = None if parent is None else _bytes_of(parent)
        self._generation = self._generation or self._spill.begin()
        self._spill.put(self._generation, values)
        for key in values:
            # An older value, sealed but not written yet, must not be found before the spilled one.
            self._unwritten.pop(key, None)
        self._dirty.clear()
        self._dirty_parents.clear()
        self._young.clear()
        self._old.clear()

    def seal(self, standing: Standing) -> SealedState:
        """All changes since the last seal, for `write`; called where no source transaction is half applied."""
        removed = Removed()
        values: dict[bytes, bytes | Removed] = {}
        for node_id, node in self._dirty.items():
            whole = (node.row, node.children, node.emitted)
            values[_NODE + node_id] = removed if node.empty else _bytes_of(whole)
        for row_id, parent in self._dirty_parents.items():
            values[_PARENT + row_id] = removed if parent is None else _bytes_of(parent)
        for name, note in self._dirty_notes.items():
            values[_NOTE + name] = removed if note is None else note
        self._unwritten.update(values)
        self._dirty.clear()
        self._dirty_parents.clear()
        self._dirty_notes.clear()
        generation, self._generation = self._generation, 0
        return SealedState(standing, values, generation)

    def write(self, sealed: SealedState, *, durable: bool = True) -> None:
        """Write changes and position in one batch; seals are written in their order.

        What is not durable outlives the process, but not the machine, until `log_sync` or a later write makes it so.
        """
        batch = WriteBatch(raw_mode=True)
        spilled: dict[bytes, bytes | None] = {}
        for key, value in sealed.values.items():
            if isinstance(value, Removed):
                batch.delete(key)
            else:
                batch.put(key, value)
            if sealed.generation:
                spilled[key] = None if isinstance(value, Removed) else value
        batch.put(_META, _bytes_of(_plain(sealed.standing)))
        if sealed.generation:
            # The move must not bring back what was spilled before it was changed once more.
            self._spill.put(sealed.generation, spilled)
            batch.put(MOVING, moving(sealed.generation))
        if durable:
            self._db.write(batch, self._durable)
        else:
            self._db.write(batch)
        if sealed.generation:
            self._spill.move(sealed.generation)
        unwritten = self._unwritten
        for key, value in sealed.values.items():
            if unwritten.get(key) is value:
                del unwritten[key]

    def write_notes(self, standing: Standing, notes: Mapping[bytes, bytes]) -> None:
        """Write notes at once, beside rows that stay as they were written last."""
        self.write(SealedState(standing, {_NOTE + name: value for name, value in notes.items()}))

    def _remember(self, node_id: NodeId, node: Node) -> None:
        if len(self._young) >= self._cached_nodes:
            self._old, self._young = self._young, {}
        self._young[node_id] = node

    def _value(self, key: bytes) -> bytes | None:
        unwritten = self._unwritten.get(key)
        if unwritten is not None:
            return None if isinstance(unwritten, Removed) else unwritten
        spilled = self._spill.get(key)
        if spilled is not None:
            return spilled[0]
        value: bytes | None = self._db.get(key)
        return value

    def _ids(self, prefix: bytes, changed: set[NodeId]) -> Iterator[NodeId]:
        """Every id once, in order, so that a transaction applied again after a crash meets them in the same order."""
        unwritten = {key[1:] for key in self._unwritten if key.startswith(prefix)} | self._spill.ids(prefix)
        previous = None
        for row_id in merge(self._written_ids(prefix), sorted(changed | unwritten)):
            if row_id != previous:
                yield row_id
            previous = row_id

    def _written_ids(self, prefix: bytes) -> Iterator[NodeId]:
        iterator = self._db.iter()
        iterator.seek(prefix)
        while iterator.valid() and iterator.key().startswith(prefix):
            yield iterator.key()[1:]
            iterator.next()


def _plain(standing: Standing) -> tuple[object, ...]:
    return (_FORMAT, *standing)


def _bytes_of(value: tuple[object, ...]) -> bytes:
    return dumps(value, _MARSHAL_VERSION)  # type: ignore[arg-type]  # rows of bytes and None only


def remove_state(directory: Path) -> None:
    """Forget a state; harmless where there is none."""
    if directory.exists():
        shutil.rmtree(directory)


def _opened(directory: Path) -> Rdict:
    directory.parent.mkdir(parents=True, exist_ok=True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(16 * _MEBIBYTE)
    options.set_max_write_buffer_number(3)
    options.set_max_total_wal_size(64 * _MEBIBYTE)
    options.set_keep_log_file_num(2)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(Cache(16 * _MEBIBYTE))
    blocks.set_bloom_filter(10, False)
    # In the cache they would put each other out: a single index may be larger than a shard of it.
    blocks.set_cache_index_and_filter_blocks(False)
    options.set_block_based_table_factory(blocks)
    try:
        return Rdict(str(directory), options)
    except Exception as exc:
        # rocksdict has no classes of its own for what RocksDB refuses.
        raise Fatal(
            f"the assembled rows in {directory} cannot be opened: {exc}. If another capture uses this directory, give "
            "this one its own ORDERSYNC_DATA_DIR; if the files are damaged, remove them: a new snapshot is taken"
        ) from exc
