"""A secured stack with every worker between a CRM's order and its two vendors, each under its own least rights."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg

from deploy.demo.landscape import database_variables, worker_plan
from deploy.demo.master_data import (
    DemoCustomer,
    DemoProduct,
    DemoSupplier,
    customer_statement,
    product_statement,
    supplier_statement,
)
from deploy.demo.sales import Line, Order
from deploy.demo.transactions import Statement, System
from deploy.local.endpoints import Endpoints
from deploy.local.stack import EmbeddedStack
from schemas.attributes import VendorId
from schemas.codec import TopicCodec
from schemas.models import VendorUpdate
from schemas.registry import SchemaRegistry
from schemas.topics import VENDOR_UPDATES
from tests.e2e.histories import committed
from tests.integration.security_stack import secured_stack
from tests.integration.streams_harness import StreamsProcess, wait_until
from tests.integration.test_vendor_webhooks import LOOPBACK, QUICK
from tests.integration.vendor_server import VendorServer
from tests.unit.vendor_lives import profiles_file

FIRST, SECOND = "S001", "S002"
"""The vendors of line 1 and of line 2."""

ORDER_ID = "crm:1"
_CARRIERS = (*(f"capture-{system}" for system in System), "streams", "erp", "warehouse")
_SERVING = re.compile(r"serving on (http://127\.0\.0\.1:\d+)")
_CUSTOMER = DemoCustomer("C00001", "Brandt Stores 1", "DE", "Central", "retail", "EUR", "Berlin")
_SUPPLIERS = (DemoSupplier(FIRST, "Falk Manufacture", "DE"), DemoSupplier(SECOND, "Duval Manufacture", "FR"))


def _product(number: str, supplier: str) -> DemoProduct:
    price, cost, tax = Decimal("9.95"), Decimal("5.5"), Decimal(19)
    return DemoProduct(number, f"Oak {number}", "Tools", supplier, "C62", price, cost, "S", tax)


def sold() -> Order:
    """Three of what the first vendor supplies, ten of the second's."""
    lines = tuple(
        Line(number, _product(f"P{number}", supplier), Decimal(quantity), Decimal("9.95"), 0, "EUR")
        for number, supplier, quantity in ((1, FIRST, 3), (2, SECOND, 10))
    )
    return Order(1, _CUSTOMER, date(2026, 11, 20), "web", "ada", Decimal(0), lines)


@dataclass
class PartnerWorld:
    """What runs, and what everybody outside sees of it."""

    stack: EmbeddedStack
    directory: Path
    servers: Mapping[str, VendorServer]
    """What each vendor's webhook is sent to."""
    workers: dict[str, StreamsProcess] = field(default_factory=dict)

    @property
    def endpoints(self) -> Endpoints:
        """Where the servers listen."""
        return self.stack.endpoints

    @property
    def folder(self) -> Path:
        """Where the documents of vendors arrive."""
        return self.directory / "in"

    def start(self) -> None:
        """Start every worker; each waits for what it needs."""
        for worker in worker_plan(self.stack.home, self.endpoints):
            if worker.name in _CARRIERS:
                self._work(worker.name, worker.environment)
        for name, own in self._partners().items():
            self._work(name, self.endpoints.environment(name) | own)

    def write(self, system: System, statements: Sequence[Statement]) -> None:
        """One transaction of a source, as its owner writes it."""
        with psycopg.connect(self.endpoints.database(system).conninfo()) as session:
            for statement in statements:
                session.execute(statement.text, statement.values)

    def place(self) -> None:
        """The master data, and the order of two vendors' lines."""
        order = sold()
        master = [*map(supplier_statement, _SUPPLIERS), *(product_statement(line.product) for line in order.lines)]
        self.write(System.INVENTORY, master)
        header = [customer_statement(_CUSTOMER), order.insertion()]
        self.write(System.CRM, [*header, *map(order.line_insertion, order.lines)])

    def drop(self, name: str, content: str) -> None:
        """A vendor's document arrives in the folder, whole."""
        (self.folder / f".{name}").write_text(content)
        (self.folder / f".{name}").rename(self.folder / name)

    def rows(self, dbname: str, query: str) -> list[tuple[Any, ...]]:
        """What a database holds."""
        with psycopg.connect(self.endpoints.database(dbname).conninfo()) as session:
            return session.execute(query.encode()).fetchall()

    def updates(self, vendor: str) -> list[VendorUpdate]:
        """All that the topic tells one vendor, in order."""
        with closing(SchemaRegistry(self.endpoints.registry())) as registry:
            codec: TopicCodec[VendorUpdate] = TopicCodec(VENDOR_UPDATES, VendorUpdate, registry)
            records = [one for part in committed(self.endpoints, VENDOR_UPDATES).values() for one in part]
            found = [codec.decode(record.value() or b"") for record in records]
        return [update for update in found if update.vendor_id == vendor]

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Wait; fails with what the workers said last, or at once where one of them ended."""

        def is_met() -> bool:
            for worker in self.workers.values():
                worker.assert_alive()
            return met()

        wait_until(is_met, 60, lambda: f"{what}: {[(name, one.log()[-600:]) for name, one in self.workers.items()]}")

    def caller(self, name: str) -> httpx.Client:
        """A client of the API, once that serves."""
        log = self.workers["api"].log
        self.until(lambda: _SERVING.search(log()), "the API serves")
        found = _SERVING.search(log())
        assert found is not None
        return httpx.Client(base_url=found[1], headers={"Authorization": f"Bearer {name}-key"}, timeout=60)

    def _partners(self) -> dict[str, dict[str, str]]:
        """The workers of partners and vendors, and what each is told beyond cluster and place."""
        urls = {VendorId(vendor): server.url for vendor, server in self.servers.items()}
        vendors = {"ORDERSYNC_VENDORS": str(profiles_file(self.directory, urls, **QUICK, **LOOPBACK))}
        self.folder.mkdir()
        documents = {
            "ORDERSYNC_SOURCES": self._file(
                "sources.toml",
                f'[[sources]]\nname = "edi"\nkind = "folder"\nsystem = "crm"\npath = "{self.folder}"\n'
                f'[sources.vendors.ACME]\nvendor = "{SECOND}"\n',
            ),
            "ORDERSYNC_DOCUMENTS_DIR": str(self.directory / "documents"),
            "ORDERSYNC_SETTLE_SECONDS": "0",
            "ORDERSYNC_POLL_SECONDS": "0.05",
        }
        crm = database_variables(self.endpoints, "crm", "write-back-crm")
        return {
            "vendors": {},
            "deliveries": vendors | database_variables(self.endpoints, "vendors", "deliveries"),
            "webhooks": vendors
            | database_variables(self.endpoints, "vendors", "webhooks")
            | {"ORDERSYNC_POLL_SECONDS": "0.05"},
            "write-back-crm": crm | {"ORDERSYNC_MAPPING": "crm"},
            "api": {"ORDERSYNC_CLIENTS": self._clients(), "ORDERSYNC_PORT": "0"},
            "documents": documents,
        }

    def _clients(self) -> str:
        clients = [("reader", 'scopes = ["orders:read"]\nsystems = ["crm"]')]
        clients += [(vendor.lower(), f'scopes = ["vendors:answer"]\nvendor = "{vendor}"') for vendor in self.servers]
        text = "".join(
            f'[[clients]]\nname = "{name}"\n{rights}\n'
            f'key_sha256 = ["{hashlib.sha256(f"{name}-key".encode()).hexdigest()}"]\n'
            for name, rights in clients
        )
        return self._file("clients.toml", text)

    def _file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def _work(self, name: str, environment: Mapping[str, str]) -> None:
        place = self.directory / "workers" / name
        own = {"ORDERSYNC_METRICS_PORT": "0", "ORDERSYNC_DATA_DIR": str(place)}
        command = (sys.executable, "-m", "deploy.cli", "worker", name)
        self.workers[name] = StreamsProcess(place, {**os.environ, **environment, **own}, command)


@contextmanager
def partner_world(directory: Path) -> Iterator[PartnerWorld]:
    """The stack and its workers, which are gone when the block ends."""
    with (
        secured_stack() as stack,
        VendorServer(lambda *_: "ok") as first,
        VendorServer(lambda *_: "ok") as second,
    ):
        world = PartnerWorld(stack, directory, {FIRST: first, SECOND: second})
        try:
            world.start()
            yield world
        finally:
            for worker in world.workers.values():
                if worker.process.poll() is None:
                    worker.kill()
