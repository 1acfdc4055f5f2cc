"""The continuous reconciliation names what the chained backup lacks, holds otherwise, or holds in a broken chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from confluent_kafka import Producer

from consumers.backup.chain import GENESIS, next_link
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from schemas.codec import TopicCodec
from schemas.models import BackupRecord, OrderEvent, OrderState, OriginalMessage
from schemas.topics import BACKUP, ORDER_EVENTS
from tests.conftest import DatabaseFactory
from tests.integration.groups import commit
from tests.integration.reconcile_watch import Watch, paid, traded_world
from tests.integration.reconcile_world import NOW, World


class Chain:
    """The backup's worker on partition 0, one link at a time."""

    def __init__(self, world: World) -> None:
        self._world, self.head, self._offset = world, GENESIS, 0
        self._events = TopicCodec(ORDER_EVENTS, OrderEvent, world.registry)
        self._links = TopicCodec(BACKUP, BackupRecord, world.registry)

    def copy(self, *states: OrderState) -> list[bytes]:
        """Copy the event of each of these versions; gives the links."""
        links = [self.link(state) for state in states]
        self.write([(state.order_id, link) for state, link in zip(states, links, strict=True)])
        return links

    def link(self, state: OrderState) -> bytes:
        """The next link, which nobody wrote yet."""
        event = OrderEvent(event_type="OrderChanged", topic="x", captured_at=NOW, state=state)
        key, value = state.order_id.encode(), self._events.encode(event)
        original = OriginalMessage(
            topic=ORDER_EVENTS, partition=0, offset=self._offset, timestamp_at=NOW, key=key, value=value
        )
        record, self.head = next_link(self.head, original)
        self._offset += 1
        return self._links.encode(record)

    def write(self, records: list[tuple[str, bytes | None]]) -> None:
        """Whatever somebody writes to the backup."""
        producer = Producer(self._world.settings.kafka.client_config(acks="all"))
        for key, value in records:
            producer.produce(BACKUP, key=key, value=value, partition=0)
        assert producer.flush(30) == 0


@pytest.fixture(scope="module")
def world(stack: Endpoints, module_database_factory: DatabaseFactory) -> Iterator[World]:
    with traded_world(stack, module_database_factory, 12) as world:
        yield world


def test_what_the_backup_lacks_or_holds_otherwise_is_named_until_it_is_mended(world: World, tmp_path: Path) -> None:
    watch, chain, group = Watch(world, tmp_path), Chain(world), f"backup-{token_hex(4)}"
    missing, altered, older, doubled, garbled = (one.order_id for one in paid(world)[:5])
    false = world.states[altered]
    assert false.order is not None
    false = false.model_copy(update={"order": false.order.model_copy(update={"note": "somebody else"})})
    early = world.states[older].model_copy(update={"version": world.states[older].version - 1})
    others = [one for one in world.states.values() if one.order_id not in (missing, altered, older)]
    links = chain.copy(early, false, *others)
    with watch.running(backup_group=group):
        # Nobody of the group ever worked: there is no backup to compare.
        assert watch.look(source=True, full=True) == []
    commit(world.settings.kafka, group, {(ORDER_EVENTS, number): 0 for number in range(3)})
    watch = Watch(world, tmp_path / "anew")
    with watch.running(backup_group=group):
        lacking = sorted([f"{missing}/backup/version", f"{older}/backup/version", f"{altered}/backup/content"])
        watch.look(source=True, full=True)
        assert await_condition(lambda: watch.look() == lacking, 60)
        found = {key.split("/")[0]: (one.kind, one.cause, one.remedy) for key, one in watch.open().items()}
        assert found[missing] == found[older] == ("missing", "lost_event", None)
        assert found[altered] == ("different", "manual_change", None)
        assert watch.open()[f"{older}/backup/version"].actual == str(early.version)
        complete = watch.registry.get_sample_value(
            "ordersync_reconcile_complete_through_timestamp_seconds", {"system": "backup"}
        )
        assert complete is not None and complete > 0
        chain.copy(*(world.states[one] for one in (missing, older, altered)))
        assert await_condition(lambda: watch.look() == [], 60)
        # A link again, and bytes that are none: each is named by its place, and the chain goes on behind it.
        place = len(world.states) - 1 + 3
        chain.write([(doubled, links[-1]), (garbled, b"no link"), (garbled, None)])
        chain.copy(world.states[missing])
        named = [f"{doubled}/backup/chain[0/{place}]"]
        named += [f"{garbled}/backup/chain[0/{place + number}]" for number in (1, 2)]
        named += [f"{missing}/backup/chain[0/{place + 3}]"]
        assert await_condition(lambda: watch.look() == sorted(named), 60)
        kinds = {(one.kind, one.cause, one.remedy) for one in watch.open().values()}
        assert kinds == {("different", "manual_change", None)}
    # It is known from the local files, and from the topic where these are lost.
    with watch.running(backup_group=group):
        assert watch.look(full=True) == sorted(named)
