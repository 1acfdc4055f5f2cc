"""Interleaves the lives of many orders and writes their transactions into the three databases."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from random import Random
from types import TracebackType
from typing import Self

import psycopg

from deploy.demo.life import Life
from deploy.demo.transactions import Step, System, Transaction
from schemas.errors import Fatal
from schemas.settings import DatabaseSettings

Row = tuple[object, ...]
Round = list[Transaction]
"""Transactions of different orders that are written at the same time."""

_CONNECTIONS = 2
_RECONNECT_SECONDS = 60.0
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RoundSize:
    """How many transactions a round has at most, and out of how many living orders they are drawn."""

    transactions: int = 60
    orders: int = 160


def rounds(lives: Iterable[Life], draw: Random, size: RoundSize) -> Iterator[Round]:
    """Let up to so many orders live at a time, each advanced by one transaction in a round, until all lives are over.

    No round holds two transactions of one order, so writing round after round keeps each order's own sequence across
    all databases while different orders interleave at random.
    """
    waiting = iter(lives)
    living: list[deque[Transaction]] = []
    while True:
        living += [deque(life.transactions) for life in islice(waiting, size.orders - len(living))]
        if not living:
            return
        chosen = draw.sample(living, min(size.transactions, len(living)))
        yield [life.popleft() for life in chosen]
        living = [life for life in living if life]


class Traders:
    """Several sessions in each of the three databases; used by one thread.

    A round is durable when `write` returns. A lost session repeats its part of the round, which has no further effect.
    """

    def __init__(self, databases: Mapping[System, DatabaseSettings]) -> None:
        self._databases = databases
        self._sessions: dict[tuple[System, int], psycopg.Connection[Row]] = {}
        self._pool = ThreadPoolExecutor(len(databases) * _CONNECTIONS, thread_name_prefix="trader")
        self.steps: Counter[Step] = Counter()
        """Transactions written so far, by what they mean."""

    def write(self, transactions: Round) -> None:
        """Write the transactions, each on its own, those of different sessions at the same time.

        Raises:
            Fatal: a database refuses a statement or does not come back in time.
        """
        parts: dict[tuple[System, int], list[Transaction]] = {}
        for transaction in transactions:
            session = (transaction.system, (transaction.order_number or 0) % _CONNECTIONS)
            parts.setdefault(session, []).append(transaction)
        for writing in [self._pool.submit(self._write, session, part) for session, part in parts.items()]:
            writing.result()
        self.steps.update(transaction.step for transaction in transactions)

    def close(self) -> None:
        """Give the sessions back."""
        self._pool.shutdown()
        for connection in self._sessions.values():
            connection.close()
        self._sessions.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, session: tuple[System, int], transactions: Sequence[Transaction]) -> None:
        deadline = time.monotonic() + _RECONNECT_SECONDS
        while True:
            try:
                _write_pipelined(self._connection(session), transactions)
                return
            except psycopg.OperationalError as exc:
                self._forget(session)
                if time.monotonic() > deadline:
                    raise Fatal(f"The database {session[0]} of the business does not answer: {exc}") from exc
                time.sleep(_PAUSE_SECONDS)
            except psycopg.Error as exc:
                raise Fatal(f"The database {session[0]} refuses a transaction of the business: {exc}") from exc

    def _connection(self, session: tuple[System, int]) -> psycopg.Connection[Row]:
        if session not in self._sessions:
            database = self._databases[session[0]]
            self._sessions[session] = psycopg.connect(
                database.conninfo(application_name="ordersync demo", connect_timeout="5"), autocommit=True
            )
        return self._sessions[session]

    def _forget(self, session: tuple[System, int]) -> None:
        connection = self._sessions.pop(session, None)
        if connection is not None:
            connection.close()


def _write_pipelined(connection: psycopg.Connection[Row], transactions: Sequence[Transaction]) -> None:
    """All but the last commit without waiting for the disk; the last one's flush covers those before it."""
    with connection.pipeline(), connection.cursor() as cursor:
        for number, transaction in enumerate(transactions, 1):
            cursor.execute("BEGIN")
            if number < len(transactions):
                cursor.execute("SET LOCAL synchronous_commit = off")
            for statement in transaction.statements:
                cursor.execute(statement.text, statement.values)
            cursor.execute("COMMIT")
