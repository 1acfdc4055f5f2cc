"""Every single process dies once, by SIGKILL, while the business trades: nothing is lost, doubled or left over."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from consumers.backup.chain import verify_chain
from consumers.backup.restore.verification import verify_copy
from consumers.backup.sink import TOPICS
from consumers.backup.vault.encryption import read_identity
from deploy.backup.provisioning import local_backup
from deploy.demo.landscape import ORDER_PARTITIONS, WORKERS
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.codec import TopicCodec
from schemas.models import BackupRecord, OrderEvent
from schemas.registry import SchemaRegistry
from schemas.topics import BACKUP, ORDER_EVENTS
from tests.conftest import stack_home
from tests.e2e.backups import caught_up
from tests.e2e.demonstrations import Demonstration, figures_of, kill_each_once, processes_in
from tests.e2e.histories import committed

pytestmark = pytest.mark.e2e

_ORDERS = 500
# Long enough to trade until the last process was killed, which the test makes sure of.
_ORDERS_PER_SECOND = 1.25
_SERVERS = ["postgres", "kafka", "registry"]


@pytest.mark.timeout(1500)
def test_every_process_may_die_once_while_the_business_trades() -> None:
    with stack_home() as home:
        pace = ("--orders", str(_ORDERS), "--rate", str(_ORDERS_PER_SECOND), "--seed", "6")
        with Demonstration(home, *pace, "--json") as running:
            assert running.reaches("the business trades", within_seconds=120), running.told
            killed = kill_each_once(running)
            assert not running.is_past("coming to rest"), "the business had ended before the last process was killed"
            out = running.end(within_seconds=600)
        assert running.process.returncode == 0, running.told
        assert killed == [*_SERVERS, *WORKERS]
        figures = figures_of(out)
        assert (figures["orders"], figures["mismatches"], figures["ledger_imbalance"]) == (_ORDERS, 0, 0), running.told
        assert (figures["parked"], figures["agrees"], figures["at_rest"]) == (0, True, True)
        assert processes_in(home) == []

        with EmbeddedStack(home) as stack:
            assert versions_follow_each_other(stack.endpoints) == figures["versions"]
            backup_holds_everything_once(stack.endpoints)
            archive_holds_everything_once(stack.endpoints, home, figures["versions"])


def archive_holds_everything_once(stack: Endpoints, home: Path, versions: int) -> None:
    """Each copy is sound, every record in it readable, and there are as many events as versions."""
    local, backup = local_backup(home), caught_up(stack, home)
    root, holder = local.root.read_bytes(), read_identity(local.identity("escrow"))
    for copy in backup.copies.copies:
        report = verify_copy(copy, root, home / "trusted", holder)
        assert report.is_sound and not report.expired_offsets, report
    every = backup.catalogue.segments.items()
    assert sum(one.holds.records for place, held in every if place.topic == ORDER_EVENTS for one in held) == versions


def versions_follow_each_other(stack: Endpoints) -> int:
    """How many versions there are; those of each order are numbered from 1 without gap or double, in that order.

    No event led to two of them: a capture that dies sends again what it had sent.
    """
    events: list[str] = []
    versions: dict[str, list[int]] = defaultdict(list)
    with closing(SchemaRegistry(stack.registry())) as registry:
        codec = TopicCodec(ORDER_EVENTS, OrderEvent, registry)
        for messages in committed(stack, ORDER_EVENTS).values():
            for message in messages:
                state = codec.decode(message.value() or b"").state
                versions[state.order_id].append(state.version)
                events.append(state.event_id)
    # One that its source deletes while it still waits for a master record never has a version.
    assert standing_orders(stack) <= versions.keys() and len(versions) <= _ORDERS
    for order_id, numbers in versions.items():
        assert numbers == list(range(1, len(numbers) + 1)), order_id
    assert len(events) == len(set(events))
    return len(events)


def standing_orders(stack: Endpoints) -> set[str]:
    """The orders that the CRM has not deleted."""
    with psycopg.connect(stack.database("crm").conninfo()) as crm:
        found = {f"crm:{number}" for (number,) in crm.execute("SELECT order_number FROM sales_order")}
    # Three in a hundred are deleted again.
    assert 0.8 * _ORDERS < len(found) < _ORDERS
    return found


def backup_holds_everything_once(stack: Endpoints) -> None:
    """Every chain holds, and its links are the records of all order topics, each copied once."""
    copied: list[tuple[str, int, int]] = []
    with closing(SchemaRegistry(stack.registry())) as registry:
        codec = TopicCodec(BACKUP, BackupRecord, registry)
        chains = committed(stack, BACKUP)
        assert len(chains) == ORDER_PARTITIONS
        for messages in chains.values():
            links = [codec.decode(message.value() or b"") for message in messages]
            verified = verify_chain(links)
            assert verified.broken is None and verified.head.sequence == len(links)
            copied += [(link.original.topic, link.original.partition, link.original.offset) for link in links]
    originals = [
        (topic, number, message.offset() or 0)
        for topic in TOPICS
        for number, messages in committed(stack, topic).items()
        for message in messages
    ]
    assert sorted(copied) == sorted(originals)
