"""The orders of one moment, and what changed between two, read from the archive alone (B3, B7, B8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from consumers.backup.archive.batches import ArchivedRecord
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import ArchivedSchemas
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError
from schemas.models import OrderEvent, OrderState
from schemas.topics import ORDER_EVENTS, ORDER_STATE

_UNINTERESTING = ("processed_at", "event_id")


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One order that differs between two moments."""

    order_id: str
    kind: str
    """created, changed or removed."""
    version_before: int | None
    version_after: int | None
    changes: tuple[str, ...]
    """Each as path: before -> after."""


def latest_records(reader: ArchiveReader, topic: str, at: datetime) -> dict[bytes, ArchivedRecord]:
    """The last record of each key, tombstones left out: what a compacted topic means at that moment."""
    found: dict[bytes, ArchivedRecord] = {}
    for partition in reader.partitions(topic):
        for record in reader.records(partition, at):
            found[record.key or b""] = record
    return {key: record for key, record in found.items() if record.value is not None}


def differences(reader: ArchiveReader, before: datetime, after: datetime) -> Iterator[OrderChange]:
    """The orders whose synchronized state differs, by id.

    Raises:
        BackupRefused: a file is missing or altered.
        UndecodableMessage: a value is not what the topic should hold.
    """
    codec = TopicCodec(ORDER_STATE, OrderState, ArchivedSchemas(reader.surroundings(after).subjects))
    old, new = latest_records(reader, ORDER_STATE, before), latest_records(reader, ORDER_STATE, after)
    for key in sorted(old.keys() | new.keys()):
        one, other = old.get(key), new.get(key)
        if one is not None and other is not None and one.value == other.value:
            continue
        states = [codec.decode(record.value or b"") if record else None for record in (one, other)]
        yield _change(key.decode(errors="replace"), *states)


def order_versions(reader: ArchiveReader, order_id: str, at: datetime) -> list[OrderEvent]:
    """Every version of one order up to a moment; deleted orders too, for their versions stay.

    Raises:
        ConfigurationError: the order was unknown then.
    """
    codec = TopicCodec(ORDER_EVENTS, OrderEvent, ArchivedSchemas(reader.surroundings(at).subjects))
    key = order_id.encode()
    records = chain.from_iterable(reader.records(partition, at) for partition in reader.partitions(ORDER_EVENTS))
    found = [codec.decode(record.value or b"") for record in records if record.key == key]
    if not found:
        raise ConfigurationError(f"the backup knows no order {order_id!r} at {at.isoformat()}")
    return found


def _change(order_id: str, old: OrderState | None, new: OrderState | None) -> OrderChange:
    kind = "created" if old is None else "removed" if new is None else "changed"
    paths = dict(_leaves(old)), dict(_leaves(new))
    changes = tuple(
        f"{path}: {paths[0].get(path, '-')} -> {paths[1].get(path, '-')}"
        for path in sorted(paths[0].keys() | paths[1].keys())
        if kind == "changed" and paths[0].get(path) != paths[1].get(path)
    )
    return OrderChange(order_id, kind, old.version if old else None, new.version if new else None, changes)


def _leaves(state: OrderState | None) -> Iterator[tuple[str, Any]]:
    if state is not None:
        yield from _flat("", state.model_dump(mode="json", exclude=set(_UNINTERESTING)))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _flat(f"{path}.{name}" if path else name, one)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _flat(f"{path}[{number}]", one)
    else:
        yield path, value
