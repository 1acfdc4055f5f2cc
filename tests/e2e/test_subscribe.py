"""The README's subscriber: a program of somebody else that knows only the brokers and the registry."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from deploy.demo.landscape import privacy_files, worker_plan
from deploy.local.endpoints import Endpoints
from deploy.local.server import await_condition
from deploy.local.stack import EmbeddedStack
from schemas.topics import ORDER_EVENTS, PUBLISHED
from tests.e2e.conftest import Demonstrated
from tests.e2e.histories import committed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_PROGRAM = Path(__file__).parents[2] / "deploy" / "guide" / "subscribe.py"
_PUBLISHED_SECONDS = 200.0


@pytest.fixture(scope="module")
def home(demonstrated: Demonstrated) -> Path:
    return demonstrated.home


@pytest.fixture(scope="module")
def endpoints(home: Path) -> Iterator[Endpoints]:
    with EmbeddedStack(home) as stack:
        yield stack.endpoints


@pytest.fixture(scope="module")
def expected(home: Path, endpoints: Endpoints) -> int:
    """How many versions there are, once the publisher has done what the demonstration did not wait for."""
    [publisher] = [one for one in worker_plan(home, endpoints) if one.name == "publisher"]
    argv = [sys.executable, "-m", "deploy.cli", "worker", "publisher"]
    wanted = _count(endpoints, ORDER_EVENTS)
    assert wanted
    with subprocess.Popen(argv, env=dict(publisher.environment), cwd=_PROGRAM.parents[2]) as worker:
        assert await_condition(lambda: _count(endpoints, PUBLISHED) == wanted, _PUBLISHED_SECONDS)
        worker.terminate()
    return wanted


def test_a_subscriber_gets_every_version_of_an_order_in_order(endpoints: Endpoints, expected: int) -> None:
    lines = subscribed(expected, endpoints)
    assert len(lines) == expected
    latest: Counter[str] = Counter()
    for line in lines:
        order_id, version, event_type, amount = line.split()
        latest[order_id] += 1
        assert int(version) == latest[order_id], line
        assert event_type.isidentifier()
        assert float(amount) >= 0


def test_who_holds_the_keys_reads_names_and_addresses(home: Path, endpoints: Endpoints, expected: int) -> None:
    lines = subscribed(expected, endpoints, str(privacy_files(home).encryption_keys))
    assert len(lines) == expected
    opened = [json.loads(line.split(maxsplit=4)[4]) for line in lines]
    assert all(one["/state/enrichment/customer_name"] for one in opened)
    assert any("/state/order/delivery_address" in one for one in opened)


def _count(endpoints: Endpoints, topic: str) -> int:
    return sum(len(messages) for messages in committed(endpoints, topic).values())


def subscribed(count: int, endpoints: Endpoints, *more: str) -> list[str]:
    """The first so many lines that the subscriber prints."""
    addresses = (endpoints.bootstrap_servers, endpoints.registry_url, str(endpoints.security_directory), *more)
    program = subprocess.Popen([sys.executable, str(_PROGRAM), *addresses], stdout=subprocess.PIPE, text=True)
    with program:
        assert program.stdout is not None
        lines = list(islice(program.stdout, count))
        program.kill()
    return lines
