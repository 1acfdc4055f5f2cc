"""The proof that a restored state, ERP and ledger stand at one position: each against the others and the archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from psycopg import sql

from consumers.backup.restore.cut import Cut
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.restore.schemas import ArchivedSchemas
from consumers.reconcile.comparison import ERP, LEDGER, STATE
from consumers.reconcile.erp import ErpReader
from consumers.reconcile.fingerprint import Section
from consumers.reconcile.ledger import LedgerReader
from consumers.reconcile.rows import snapshot
from consumers.reconcile.state import StateReader
from consumers.reconcile.survey import survey
from consumers.reconcile.systems import Systems
from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.models import JournalEntry
from schemas.settings import DatabaseSettings, KafkaSettings
from schemas.topics import ORDER_STATE, POSTINGS

_TRIAL_BALANCE = sql.SQL(
    "SELECT currency_code, control_code, sum(debit_amount), sum(credit_amount) FROM period_balance GROUP BY 1, 2"
).format()
_RATIOS = sql.SQL(
    "SELECT period, functional_currency_code, net_sales_amount, operating_cash_flow_amount, net_income_amount, "
    "operating_cash_flow_to_sales, net_income_to_sales FROM ledger_metrics ORDER BY 1, 2"
).format()


class Account(NamedTuple):
    """One account in one currency."""

    currency_code: str
    account_code: str


class Turnover(NamedTuple):
    """What was posted to an account."""

    debit_amount: Decimal
    credit_amount: Decimal


TrialBalance = Mapping[Account, Turnover]


class Ratios(NamedTuple):
    """Both ratios of one period, from the restored ledger; None where nothing was sold. Source: B11."""

    period: str
    functional_currency_code: str
    net_sales_amount: Decimal
    operating_cash_flow_amount: Decimal
    net_income_amount: Decimal
    operating_cash_flow_to_sales: Decimal | None
    net_income_to_sales: Decimal | None


@dataclass(frozen=True, slots=True)
class RestoredPlaces:
    """Where the restored systems are."""

    kafka: KafkaSettings
    erp: DatabaseSettings
    ledger: DatabaseSettings
    prefix: str = ""
    """Start of the restored topics' names."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the comparison found."""

    orders: int
    trial_balance: TrialBalance
    ratios: tuple[Ratios, ...]
    faults: tuple[str, ...]
    """Each a sentence; none where all agree."""


class _RestoredSystems(Systems):
    """Without sources: what a source held at the moment is in no backup of ours."""

    def __init__(self, places: RestoredPlaces, schemas: SchemaIds) -> None:
        self.sources = []
        self.erp = ErpReader(places.erp)
        self.ledger = LedgerReader(places.ledger)
        self.state = StateReader(places.kafka, schemas, places.prefix + ORDER_STATE)


def prove(places: RestoredPlaces, schemas: SchemaIds, posted: TrialBalance) -> Proof:
    """Compare state with ERP and with ledger, order by order, and the ledger with what the archive says was posted.

    Called by the drill and by a restore, after the sinks have followed the restored topics to their ends. Changes
    nothing. Source: B4, B11, B12.

    Raises:
        ConfigurationError: a system lacks what is read.
        Transient: a system is away.
    """
    systems = _RestoredSystems(places, schemas)
    try:
        seen = survey(systems)
    finally:
        systems.state.close()
    document, functional = systems.ledger.imbalances()
    found = trial_balance(places.ledger)
    faults: list[str] = []
    for section, system in ((Section.ERP, ERP), (Section.LEDGER, LEDGER)):
        differing = seen.checksums[STATE, section].differing(seen.checksums[system, section])
        if differing:
            faults.append(f"state and {system} differ in {len(differing)} of the groups that orders are compared in")
    faults += [
        f"debits and credits differ by {amount} {currency}"
        for currency, amount in (*document.items(), *functional.items())
        if amount
    ]
    faults += differences(posted, found)
    return Proof(seen.totals[STATE].orders, found, tuple(_ratios(places.ledger)), tuple(faults))


def posted_in(reader: ArchiveReader, cut: Cut) -> dict[Account, Turnover]:
    """The trial balance by the archived journal entries alone; knows nothing of topics, sinks and databases."""
    codec = TopicCodec(POSTINGS, JournalEntry, ArchivedSchemas(reader.surroundings(cut.at).subjects))
    debits: dict[Account, Decimal] = defaultdict(Decimal)
    credits_: dict[Account, Decimal] = defaultdict(Decimal)
    for partition in reader.partitions(POSTINGS):
        for record in cut.records(partition):
            entry = codec.decode(record.value or b"")
            for line in entry.lines:
                account = Account(entry.currency_code, line.account_code)
                debits[account] += line.debit_amount
                credits_[account] += line.credit_amount
    return {account: Turnover(debits[account], credits_[account]) for account in debits}


def trial_balance(ledger: DatabaseSettings) -> dict[Account, Turnover]:
    """The trial balance of a ledger by the accounts that were posted to. Raises as `prove`."""
    with snapshot(ledger) as connection:
        rows = connection.rows(_TRIAL_BALANCE, ["period_balance"])
        return {Account(currency, account): Turnover(debit, credit) for currency, account, debit, credit in rows}


def _ratios(ledger: DatabaseSettings) -> Iterator[Ratios]:
    with snapshot(ledger) as connection:
        yield from (Ratios(*row) for row in connection.rows(_RATIOS, ["ledger_metrics"]))


def differences(posted: TrialBalance, found: TrialBalance) -> Iterator[str]:
    """Each account whose debits or credits are not the same, as a sentence."""
    none = Turnover(Decimal(0), Decimal(0))
    for account in sorted(posted.keys() | found.keys()):
        wanted, held = posted.get(account, none), found.get(account, none)
        if wanted != held:
            yield (
                f"account {account.account_code} in {account.currency_code}: the archive has debits "
                f"{wanted.debit_amount} and credits {wanted.credit_amount}, the ledger {held.debit_amount} and "
                f"{held.credit_amount}"
            )
