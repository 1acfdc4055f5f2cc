"""ERP and ledger from restored topics: the sinks follow these to their ends, into databases that are new."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from threading import Event

from prometheus_client import CollectorRegistry

from consumers.registry import sink_named
from deploy.until_done import until_done
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings, KafkaSettings, RegistrySettings


def rebuild(
    kafka: KafkaSettings, registry: RegistrySettings, databases: Mapping[str, DatabaseSettings], data_dir: Path
) -> None:
    """Run each named sink until it has done all that its topics hold.

    Called by the drill after the topics were restored. Exactly once, as the sinks always are: called again after an
    interruption it goes on.

    Raises:
        OrdersyncError: what a sink raised.
    """
    for name, database in databases.items():
        definition = sink_named(name)
        settings = definition.settings(kafka=kafka, registry=registry, database=database, data_dir=data_dir / name)
        stop = Event()
        with closing(SchemaRegistry(registry)) as schemas:
            runner = definition.runner(settings, schemas, CollectorRegistry())
            with until_done(runner, kafka, stop):
                runner.run(stop)
