"""The topics of the catalogue, whose names are fixed, made new for one module of tests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from deploy.topics import TopicLayout, apply_topics
from schemas.registry import SchemaRegistry
from schemas.topics import CATALOGUE

LAYOUT = TopicLayout(order_partitions=3)
_DEADLINE_SECONDS = 30.0


@pytest.fixture(scope="session")
def secured() -> Iterator[EmbeddedStack]:
    """A secured stack that the tests of security share; whoever breaks it mends it."""
    # Only here: it leads to every system of the landscape.
    from tests.integration.security_stack import secured_stack

    with secured_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def fresh_topics(stack: Endpoints) -> Iterator[Endpoints]:
    """The session's stack with every topic of the catalogue empty and every schema registered."""
    remove_topics(stack)
    registry = SchemaRegistry(stack.registry())
    apply_topics(stack.kafka(), registry, LAYOUT)
    registry.close()
    yield stack
    remove_topics(stack)


def remove_topics(stack: Endpoints) -> None:
    """Delete the catalogue's topics and wait until the cluster has forgotten them."""
    admin = AdminClient(stack.kafka().client_config())
    left = catalogue_topics(admin)
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while left:
        assert time.monotonic() < deadline, f"topics are still there: {', '.join(sorted(left))}"
        for future in admin.delete_topics(list(left), operation_timeout=_DEADLINE_SECONDS).values():
            try:
                future.result()
            except KafkaException as exc:
                if exc.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        left = catalogue_topics(admin)


def catalogue_topics(admin: AdminClient) -> set[str]:
    """Topics of the catalogue that exist now."""
    return set(admin.list_topics(timeout=_DEADLINE_SECONDS).topics) & set(CATALOGUE)
