"""Exports what the ledger has taken in since the last export: each entry exactly once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
from psycopg import Connection
from pyarrow import compute, parquet

from consumers.postgres.errors import postgres_error
from consumers.warehouse.export.commits import Commit, CommitLog, ExportedFile, Range, put_in_place
from consumers.warehouse.export.ledger import ROWS_AT_ONCE, LedgerReading
from consumers.warehouse.export.star import APPENDED, DIMENSIONS, JOURNAL_LINE, StarTable
from schemas.errors import ConfigurationError, Fatal
from schemas.settings import DatabaseSettings


class LedgerExport:
    """One directory that follows one ledger.

    The steps, of which each may be the last before a crash:

    1. The range is noted: from the position of the last export to the ledger's horizon.
    2. Dimensions, entries and lines of the range are written beside, then put in place one by one. Their names follow
       from the range, and their bytes too: a repetition puts the same files in the same places.
    3. The commit file says that they are all there. The next export begins where it ends.

    A reader in the middle of step 2 misses some periods of the newest range; an entry's lines are never apart.
    """

    def __init__(self, database: DatabaseSettings, directory: Path) -> None:
        self._database = database
        self._directory = directory
        self._log = CommitLog(directory)

    def export(self) -> Commit | None:
        """Write what is new; None where nothing is.

        Raises:
            ConfigurationError: the directory belongs to another ledger or cannot be written, or there is no ledger.
            Transient: the ledger's database is away; the next export goes on.
        """
        try:
            with self._log.held(), self._reading() as session:
                reading = LedgerReading(session)
                wanted = self._wanted(reading)
                if wanted is None:
                    return None
                self._log.begin(wanted)
                made = Commit(wanted, tuple(self._files(reading, wanted)))
                self._log.commit(made)
                return made
        except OSError as exc:
            raise ConfigurationError(f"exporting to {self._directory}: {exc}") from exc
        except psycopg.Error as exc:
            raise postgres_error(exc, f"exporting the ledger {self._database.dbname}") from exc

    def check(self) -> tuple[int, Decimal]:
        """Compare what was exported with the ledger; gives lines and debits in functional currency.

        Raises:
            Fatal: they differ, or a file is not what was exported.
        """
        last = self._log.last()
        if last is None:
            return 0, Decimal(0)
        rows, debits = 0, Decimal(0)
        for commit in self._log.commits():
            for told in commit["files"]:
                path = self._directory / told["path"]
                if told["path"].startswith(JOURNAL_LINE.name + "/"):
                    if not path.is_file() or _sha256(path) != told["sha256"]:
                        raise Fatal(f"{path} is not what was exported: export to a new directory")
                    amounts = parquet.read_table(path, columns=["functional_debit_amount"])
                    rows += amounts.num_rows
                    debits += compute.sum(amounts.column(0)).as_py() or Decimal(0)
        with self._reading() as session:
            held = LedgerReading(session).totals(last.position)
        if held != (rows, debits):
            raise Fatal(
                f"{self._directory} has {rows} lines with debits of {debits}, and the ledger {held[0]} with {held[1]} "
                f"up to the same position {last.position}: export to a new directory"
            )
        return rows, debits

    def _reading(self) -> Connection[tuple[object, ...]]:
        settings = "-c default_transaction_read_only=on -c TimeZone=UTC"
        return psycopg.connect(self._database.conninfo(connect_timeout="5", options=settings))

    def _wanted(self, reading: LedgerReading) -> Range | None:
        horizon, last, pending = reading.horizon(), self._log.last(), self._log.pending()
        known = pending or last
        if known is not None and (known.ledger != horizon.ledger or known.position > horizon.position):
            raise ConfigurationError(
                f"{self._directory} follows the ledger {known.ledger} up to {known.position}, and this one is "
                f"{horizon.ledger} at {horizon.position}: its database was set up anew or restored. Export to a new "
                "directory"
            )
        if pending is not None and (last is None or pending.position > last.position):
            return pending
        since = last.position if last is not None else 0
        return Range(horizon.ledger, since, horizon.position) if reading.periods(since, horizon.position) else None

    def _files(self, reading: LedgerReading, wanted: Range) -> Iterator[ExportedFile]:
        # First what facts refer to, then the facts.
        for table in DIMENSIONS:
            yield self._write(table, f"{table.name}/{table.name}.parquet", reading.dimension(table, wanted.position))
        for period in reading.periods(wanted.since, wanted.position):
            for table in APPENDED:
                rows = reading.appended(table, period, wanted.since, wanted.position)
                yield self._write(table, f"{table.name}/period={period}/{wanted.position:020d}.parquet", rows)

    def _write(self, table: StarTable, path: str, portions: Iterator[pa.Table]) -> ExportedFile:
        staged, rows = self._log.staging / f"{table.name}.parquet", 0
        with (
            staged.open("wb") as file,
            parquet.ParquetWriter(file, table.schema, compression="zstd", write_page_index=True) as writer,
        ):
            for portion in portions:
                writer.write_table(portion, row_group_size=ROWS_AT_ONCE)
                rows += portion.num_rows
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        digest = _sha256(staged)
        put_in_place(staged, self._directory / path)
        return ExportedFile(path, rows, digest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
