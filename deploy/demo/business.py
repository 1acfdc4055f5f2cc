"""The demonstration business: a seeded company whose orders live in a CRM, an inventory and a finance system."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random

import psycopg

from deploy.demo.life import UNKNOWN_CURRENCY, Fault, Life, draw_life
from deploy.demo.master_data import draw_master_data
from deploy.demo.patience import patiently
from deploy.demo.trading import RoundSize, Traders, rounds
from deploy.demo.transactions import Step, System
from deploy.demo.unfinished import mending
from schemas.errors import Fatal, Transient
from schemas.settings import DatabaseSettings

_SQL = Path(__file__).parent / "sql"
_FAULT_EVERY = 40
"""With faults, one order in so many begins with one."""

Databases = Mapping[System, DatabaseSettings]


@dataclass(frozen=True, slots=True)
class BusinessPlan:
    """What the business will do."""

    orders: int
    seed: int
    today: date
    with_faults: bool = True
    orders_per_second: float | None = None
    """Pace at which orders are placed; None for as fast as the databases take them."""

    @property
    def round_size(self) -> RoundSize:
        """With a pace smaller rounds of fewer orders, so that transactions flow evenly and not in bursts."""
        full = RoundSize()
        if self.orders_per_second is None:
            return full
        pace = math.ceil(self.orders_per_second)
        return RoundSize(min(full.transactions, pace), min(full.orders, 8 * pace))


@dataclass(frozen=True, slots=True)
class Traded:
    """What the business did."""

    orders: int
    transactions: int
    steps: Mapping[Step, int]
    faults: Mapping[Fault, int]
    seconds: float


def create_tables(databases: Databases) -> None:
    """Create the tables of each system in its database, where they are missing. Raises `Fatal`."""
    for system, database in databases.items():
        try:
            with psycopg.connect(database.conninfo()) as connection:
                connection.execute((_SQL / f"{system}.sql").read_bytes())
        except psycopg.Error as exc:
            raise Fatal(f"The tables of {system} could not be created in {database.dbname}: {exc}") from exc


class Business:
    """Trades according to a plan; orders that are there already keep their numbers, new ones follow."""

    def __init__(self, databases: Databases, plan: BusinessPlan) -> None:
        self.plan = plan
        self._databases = databases
        self._master = draw_master_data(plan.seed, plan.today)
        self._traders = Traders(databases)
        self.faults: Counter[Fault] = Counter()

    @property
    def steps(self) -> Mapping[Step, int]:
        """Transactions written so far, by what they mean; may be read by another thread."""
        return self._traders.steps

    def open(self) -> None:
        """Write the master data, and mend what an interrupted run left. Called once, before `trade`.

        Raises:
            Fatal: a database refuses a statement or does not come back in time.
        """
        self._traders.write(self._master.transactions())
        crm, inventory = self._databases[System.CRM], self._databases[System.INVENTORY]
        self._traders.write(patiently(lambda: mending(crm, inventory, self._master, UNKNOWN_CURRENCY)))
        self._traders.steps.clear()

    def trade(self, stopped: Callable[[], bool] = lambda: False) -> Traded:
        """Write the lives of all planned orders, or until `stopped`.

        Raises:
            Fatal: a database refuses a statement or does not come back in time.
        """
        began = time.monotonic()
        size = self.plan.round_size
        for transactions in rounds(self._lives(), Random(f"{self.plan.seed}:rounds"), size):
            if stopped():
                break
            self._keep_pace(began)
            self._traders.write(transactions)
        steps = dict(self._traders.steps)
        return Traded(
            orders=steps.get(Step.PLACED, 0),
            transactions=sum(steps.values()),
            steps=steps,
            faults=dict(self.faults),
            seconds=time.monotonic() - began,
        )

    def close(self) -> None:
        """Give the sessions back."""
        self._traders.close()

    def _lives(self) -> Iterator[Life]:
        first = patiently(self._next_order_number)
        for number in range(first, first + self.plan.orders):
            fault = self._fault_of(number - first)
            if fault is not None:
                self.faults[fault] += 1
            yield draw_life(self.plan.seed, number, self._master, self.plan.today, fault=fault)

    def _fault_of(self, index: int) -> Fault | None:
        if not self.plan.with_faults or index % _FAULT_EVERY != _FAULT_EVERY // 2:
            return None
        faults = list(Fault)
        return faults[index // _FAULT_EVERY % len(faults)]

    def _next_order_number(self) -> int:
        try:
            with psycopg.connect(self._databases[System.CRM].conninfo()) as connection:
                # Deleted orders are gone from the table, but their numbers stay taken in all other systems.
                connection.execute("CREATE SEQUENCE IF NOT EXISTS demo_order_number")
                row = connection.execute(
                    "SELECT setval('demo_order_number', nextval('demo_order_number') + %s)", (self.plan.orders,)
                ).fetchone()
        except psycopg.OperationalError as exc:
            raise Transient(f"taking order numbers in the CRM: {exc}") from exc
        except psycopg.Error as exc:
            raise Fatal(f"The business could not take order numbers in the CRM: {exc}") from exc
        assert row is not None and isinstance(row[0], int)
        return row[0] - self.plan.orders

    def _keep_pace(self, began: float) -> None:
        pace = self.plan.orders_per_second
        if pace is not None:
            ahead = self._traders.steps[Step.PLACED] / pace - (time.monotonic() - began)
            if ahead > 0:
                time.sleep(ahead)
