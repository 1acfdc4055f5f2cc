"""The hash chain of the backup: what it proves, and what it names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.backup.chain import GENESIS, link_hash, next_link, verify_chain
from schemas.models import BackupRecord, MessageHeader, OriginalMessage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_parts = st.none() | st.binary(max_size=12)
originals = st.builds(
    OriginalMessage,
    topic=st.sampled_from(["orders.events", "gl.postings"]),
    partition=st.integers(0, 11),
    offset=st.integers(0, 2**40),
    timestamp_at=st.integers(0, 2**50).map(lambda micros: _EPOCH + timedelta(microseconds=micros)),
    key=_parts,
    value=_parts,
    headers=st.lists(st.builds(MessageHeader, key=st.text(max_size=4), value=_parts), max_size=3),
)
chains = st.lists(originals, min_size=1, max_size=8)


def chained(copied: list[OriginalMessage]) -> list[BackupRecord]:
    head, links = GENESIS, []
    for original in copied:
        link, head = next_link(head, original)
        links.append(link)
    return links


@given(chains)
def test_a_chain_verifies_as_a_whole_and_from_any_link(copied: list[OriginalMessage]) -> None:
    links = chained(copied)
    whole = verify_chain(links)
    assert whole.broken is None
    assert (whole.head.sequence, whole.head.hash) == (len(links), links[-1].hash)
    middle = verify_chain(links[: len(links) // 2]).head
    assert verify_chain(links[len(links) // 2 :], middle) == whole


@given(chains, originals, st.data())
def test_a_changed_record_is_named(copied: list[OriginalMessage], other: OriginalMessage, data: st.DataObject) -> None:
    links = chained(copied)
    place = data.draw(st.integers(0, len(links) - 1))
    if other == copied[place]:
        return
    links[place] = links[place].model_copy(update={"original": other})
    broken = verify_chain(links).broken
    assert broken is not None
    assert broken.sequence == place
    assert "content" in broken.reason


@given(chains, originals, st.data())
def test_a_record_changed_with_its_hash_is_named_by_the_next(
    copied: list[OriginalMessage], other: OriginalMessage, data: st.DataObject
) -> None:
    links = chained([*copied, other])
    place = data.draw(st.integers(0, len(links) - 2))
    changed = other.model_copy(update={"offset": copied[place].offset + 1})
    links[place] = links[place].model_copy(
        update={"original": changed, "hash": link_hash(links[place].previous_hash, changed)}
    )
    broken = verify_chain(links).broken
    assert broken is not None
    assert (broken.sequence, broken.record) == (place + 1, links[place + 1])


@given(chains, originals, st.data())
def test_a_removed_record_is_named(copied: list[OriginalMessage], last: OriginalMessage, data: st.DataObject) -> None:
    links = chained([*copied, last])
    place = data.draw(st.integers(0, len(links) - 2))
    del links[place]
    broken = verify_chain(links).broken
    assert broken is not None
    assert broken.sequence == place


@given(originals, originals)
def test_different_records_have_different_hashes(one: OriginalMessage, other: OriginalMessage) -> None:
    assert (link_hash(GENESIS.hash, one) == link_hash(GENESIS.hash, other)) == (one == other)


def test_the_hash_is_the_one_that_the_definition_gives() -> None:
    original = OriginalMessage(
        topic="t",
        partition=2,
        offset=3,
        timestamp_at=_EPOCH + timedelta(microseconds=4),
        key=None,
        value=b"v",
        headers=[MessageHeader(key="h", value=b"")],
    )

    def number(value: int) -> bytes:
        return value.to_bytes(8, "big", signed=True)

    covered = number(1) + b"t" + number(2) + number(3) + number(4) + number(-1) + number(1) + b"v"
    covered += number(1) + number(1) + b"h" + number(0)
    assert link_hash(bytes(32), original) == sha256(bytes(32) + covered).digest()


@pytest.mark.parametrize("part", ["key", "value"])
def test_null_is_not_empty(part: str) -> None:
    original = chained_original()
    null, empty = (original.model_copy(update={part: content}) for content in (None, b""))
    assert link_hash(bytes(32), null) != link_hash(bytes(32), empty)


def chained_original() -> OriginalMessage:
    return OriginalMessage(topic="t", partition=0, offset=0, timestamp_at=_EPOCH, key=b"k", value=b"v")
