"""The hash chain of the backup: what a link covers, how the next is made, how a chain is verified. Pure.

`hash = SHA-256(previous_hash ‖ record)`, in the bytes of `schemas.canonical_bytes`:

    len(topic), topic in UTF-8, partition, offset, timestamp in microseconds since 1970,
    len(key), key, len(value), value, number of headers, then for each: len(name), name in UTF-8, len(value), value
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from schemas.canonical_bytes import number, sized
from schemas.codec.scalars import datetime_to_micros
from schemas.models import BackupRecord, OriginalMessage


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of one partition's chain: the number of the next link and the hash that it builds on."""

    sequence: int = 0
    hash: bytes = bytes(32)


GENESIS = ChainHead()


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """The first link that does not hold."""

    sequence: int
    """The number that the link should have."""
    reason: str
    record: BackupRecord


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify_chain` found: where the sound part ends, and what comes there, if it is not the end."""

    head: ChainHead
    broken: BrokenLink | None = None


def next_link(head: ChainHead, original: OriginalMessage) -> tuple[BackupRecord, ChainHead]:
    """The link that copies `original`, and the head after it."""
    digest = link_hash(head.hash, original)
    link = BackupRecord.model_construct(sequence=head.sequence, previous_hash=head.hash, hash=digest, original=original)
    return link, ChainHead(head.sequence + 1, digest)


def verify_chain(records: Iterable[BackupRecord], head: ChainHead = GENESIS) -> Verification:
    """Recompute one partition's chain from `head`; stops at the first broken link.

    Called by `ordersync backup verify` and tests. Cutting off the end of a chain is not seen here: compare the head
    with one that was noted elsewhere. Source: B3 (snapshots preserved for audit).
    """
    for record in records:
        reason = fault_of(record, head)
        if reason is not None:
            return Verification(head, BrokenLink(head.sequence, reason, record))
        head = ChainHead(record.sequence + 1, record.hash)
    return Verification(head)


def link_hash(previous_hash: bytes, original: OriginalMessage) -> bytes:
    """The hash of the link that copies `original` and follows the one with `previous_hash`."""
    parts = [
        previous_hash,
        *sized(original.topic.encode()),
        number(original.partition),
        number(original.offset),
        number(datetime_to_micros(original.timestamp_at)),
        *sized(original.key),
        *sized(original.value),
        number(len(original.headers)),
    ]
    for header in original.headers:
        parts += sized(header.key.encode())
        parts += sized(header.value)
    return sha256(b"".join(parts)).digest()


def head_behind(record: BackupRecord, head: ChainHead) -> ChainHead:
    """Where a reader goes on behind a record: also behind a wrong one, if its content is what was hashed."""
    if record.hash == head.hash or record.hash != link_hash(record.previous_hash, record.original):
        return head
    return ChainHead(record.sequence + 1, record.hash)


def fault_of(record: BackupRecord, head: ChainHead) -> str | None:
    """Why a record is not the next link of the chain; None where it is."""
    if record.sequence != head.sequence:
        return f"it is numbered {record.sequence}: a link was removed, repeated or moved"
    if record.previous_hash != head.hash:
        return "it does not build on the link before it"
    if record.hash != link_hash(head.hash, record.original):
        return "its content is not what was hashed"
    return None
