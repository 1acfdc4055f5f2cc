"""The README's subscriber: a program of somebody else that knows only the brokers and the registry."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from deploy.local.stack import EmbeddedStack
from schemas.topics import ORDER_EVENTS
from tests.e2e.conftest import Demonstrated
from tests.e2e.histories import committed

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_PROGRAM = Path(__file__).parents[2] / "deploy" / "guide" / "subscribe.py"


def test_a_subscriber_gets_every_version_of_an_order_in_order(demonstrated: Demonstrated) -> None:
    with EmbeddedStack(demonstrated.home) as stack:
        endpoints = stack.endpoints
        expected = sum(len(messages) for messages in committed(endpoints, ORDER_EVENTS).values())
        assert expected
        assert endpoints.security_directory is not None
        addresses = (endpoints.bootstrap_servers, endpoints.registry_url, str(endpoints.security_directory))
        lines = subscribed(expected, *addresses)
    assert len(lines) == expected
    latest: Counter[str] = Counter()
    for line in lines:
        order_id, version, event_type, amount = line.split()
        latest[order_id] += 1
        assert int(version) == latest[order_id], line
        assert event_type.isidentifier()
        assert float(amount) >= 0


def subscribed(count: int, *addresses: str) -> list[str]:
    """The first so many lines that the subscriber prints."""
    program = subprocess.Popen([sys.executable, str(_PROGRAM), *addresses], stdout=subprocess.PIPE, text=True)
    with program:
        assert program.stdout is not None
        lines = list(islice(program.stdout, count))
        program.kill()
    return lines
