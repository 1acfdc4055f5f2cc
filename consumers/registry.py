"""The sinks of this version; the CLI, the deployment and the dashboards read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry

from consumers.backup import sink as backup
from consumers.backup.settings import BackupSettings
from consumers.erp import sink as erp
from consumers.erp.settings import ErpSettings
from consumers.privacy.settings import PublisherSettings
from consumers.runner import SinkRunner
from consumers.settings import SinkSettings
from consumers.sink import Sink
from consumers.vendors import sink as vendors
from consumers.vendors.deliveries import sink as deliveries
from consumers.vendors.deliveries.settings import DeliveriesSettings
from consumers.vendors.settings import VendorsSettings
from consumers.warehouse import sink as warehouse
from consumers.warehouse.settings import WarehouseSettings
from consumers.write_back import sink as write_back
from consumers.write_back.settings import WriteBackSettings
from schemas.codec.topic import SchemaIds
from schemas.errors import ConfigurationError

S = TypeVar("S", bound=SinkSettings)


@dataclass(frozen=True, slots=True)
class SinkDefinition(Generic[S]):
    """One sink: its name as worker, the settings that it reads from the environment, and how it is made."""

    name: str
    settings: type[S]
    create: Callable[[S, SchemaIds], Sink[Any]]

    def runner(self, settings: S, schemas: SchemaIds, registry: CollectorRegistry) -> SinkRunner[Any]:
        """The worker; its instruments appear in `registry`.

        Raises:
            SchemaDrift: this version's schemas are not registered.
            Transient: the schema registry is away.
        """
        return SinkRunner(self.create(settings, schemas), settings, schemas, registry)


def _publisher(settings: PublisherSettings, schemas: SchemaIds) -> Sink[Any]:
    # Only here: no other sink needs the library of its encryption.
    try:
        from consumers.privacy.sink import PublisherSink
    except ModuleNotFoundError as exc:
        raise ConfigurationError(f"{exc}: the publisher's library is missing; install ordersync[privacy]") from exc

    return PublisherSink(settings, schemas)


SINKS: dict[str, SinkDefinition[Any]] = {
    definition.name: definition
    for definition in (
        SinkDefinition(erp.NAME, ErpSettings, erp.ErpSink),
        SinkDefinition(warehouse.NAME, WarehouseSettings, warehouse.WarehouseSink),
        SinkDefinition(backup.NAME, BackupSettings, backup.BackupSink),
    )
}

"""Those of each installation."""

PARTNER_SINKS: dict[str, SinkDefinition[Any]] = {
    definition.name: definition
    for definition in (
        SinkDefinition(vendors.NAME, VendorsSettings, vendors.VendorsSink),
        SinkDefinition("publisher", PublisherSettings, _publisher),
        SinkDefinition(deliveries.NAME, DeliveriesSettings, deliveries.DeliveriesSink),
        SinkDefinition(write_back.NAME, WriteBackSettings, write_back.WriteBackSink),
    )
}
"""Those of installations that tell their partners, or the sources themselves, what becomes of orders."""


def sink_named(name: str) -> SinkDefinition[Any]:
    """The sink with that name.

    Raises:
        ConfigurationError: there is none.
    """
    known = SINKS | PARTNER_SINKS
    if name not in known:
        raise ConfigurationError(f"there is no sink {name!r}; there are {', '.join(known)}")
    return known[name]
