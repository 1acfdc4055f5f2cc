"""One secured stack for every test of security: topics, databases, rights, and the tables of each system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deploy.demo.business import create_tables
from deploy.demo.transactions import System
from deploy.local.stack import EmbeddedStack
from deploy.security.preparation import prepare_databases
from deploy.topics import TopicLayout, apply_grants, apply_topics
from schemas.database_roles import ERP, LEDGER, SOURCES, VENDORS
from schemas.registry import SchemaRegistry
from tests.conftest import stack_home


@contextmanager
def secured_stack() -> Iterator[EmbeddedStack]:
    """A stack on which every grant was applied; the caller may break it and must leave it whole."""
    with stack_home() as home, EmbeddedStack(home, secured=True) as stack:
        endpoints = stack.endpoints
        registry = SchemaRegistry(endpoints.registry())
        apply_topics(endpoints.kafka(), registry, TopicLayout(order_partitions=1))
        registry.close()
        apply_grants(endpoints.kafka())
        for dbname in (*SOURCES, ERP, LEDGER, VENDORS):
            stack.create_database(dbname)
        create_tables({system: endpoints.database(system.value) for system in System})
        prepare_databases(endpoints.database)
        yield stack
