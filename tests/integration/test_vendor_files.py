"""Files appear whole, in order and numbered without gaps, whatever is killed and whichever directory is away."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from consumers.vendors.deliveries.settings import DispatchSettings
from consumers.vendors.files.worker import VendorFilesWorker
from deploy.local.server import await_condition
from schemas.errors import ConfigurationError
from schemas.settings import DatabaseSettings
from tests.conftest import DatabaseFactory
from tests.integration.test_vendor_webhooks import (
    DEADLINE_SECONDS,
    ROOT,
    environment_of,
    prepared,
    queue,
    settings_of,
    states,
)
from tests.unit.vendor_lives import ACME, BOLT, update


@pytest.fixture
def database(database_factory: DatabaseFactory) -> DatabaseSettings:
    return prepared(database_factory("vendor_files"))


def vendors_file(directory: Path, forms: dict[str, str], more: str = "") -> Path:
    tables = []
    for vendor, form in forms.items():
        (directory / vendor).mkdir(exist_ok=True)
        tables += [f'[vendors."{vendor}".files]', f'format = "{form}"', f'directory = "{directory / vendor}"', more]
        tables += ['sender = "US"', f'receiver = "{vendor}"']
    path = directory / "vendors.toml"
    path.write_text("\n".join(tables))
    return path


@contextmanager
def working(settings: DispatchSettings) -> Iterator[VendorFilesWorker]:
    worker, stop, failures = VendorFilesWorker(settings, CollectorRegistry()), threading.Event(), []

    def run() -> None:
        try:
            worker.run(stop)
        except Exception as exc:  # noqa: BLE001  the test is told
            failures.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive() and not failures, failures


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def read_orders(directory: Path) -> list[tuple[str, int]]:
    """Order and sequence of every message, in the order of the files."""
    found = []
    for name in names(directory):
        assert re.fullmatch(r"\d{9}-ORDRSP\.edi", name)
        text = (directory / name).read_text("iso-8859-1")
        assert text.endswith(("'\r\n", "'\n"))
        found += [(order, int(number)) for order, number in re.findall(r"BGM\+231\+(crm\?:\d+)-(\d+)", text)]
    return found


def test_killed_workers_leave_no_gap_and_no_partial_file(database: DatabaseSettings, tmp_path: Path) -> None:
    vendors = vendors_file(tmp_path, {ACME: "edifact"})
    settings = settings_of(database, vendors)
    rounds = 2
    for number in range(rounds):
        queue(database, vendors, [update(order, number * 3 + one) for order in range(40) for one in (1, 2, 3)])
        argv = [sys.executable, "-m", "deploy.cli", "worker", "vendor-files"]
        process = subprocess.Popen(argv, cwd=ROOT, env=environment_of(settings, tmp_path))
        try:
            condition = lambda number=number: _filed(database) > number  # noqa: E731
            assert await_condition(condition, DEADLINE_SECONDS)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    with working(settings), working(settings):
        assert await_condition(lambda: states(database) == {"delivered": 120 * rounds}, DEADLINE_SECONDS)
        assert await_condition(lambda: _unwritten(database) == 0, DEADLINE_SECONDS)
    directory = tmp_path / ACME
    visible = [name for name in names(directory) if not name.startswith(".")]
    assert [int(name[:9]) for name in visible] == list(range(1, len(visible) + 1))
    for name in names(directory):
        if name.startswith("."):
            (directory / name).unlink()
    told = read_orders(directory)
    assert len(told) == len(set(told)) == 120 * rounds
    heard: dict[str, int] = {}
    for order, sequence in told:
        assert sequence == heard.get(order, 0) + 1
        heard[order] = sequence


def test_a_directory_that_is_away_delays_nobody_and_loses_nothing(database: DatabaseSettings, tmp_path: Path) -> None:
    vendors = vendors_file(tmp_path, {ACME: "x12", BOLT: "ubl"})
    queue(database, vendors, [update(1), update(2, vendor_id=BOLT, update_id="b")])
    with working(settings_of(database, vendors)) as worker:
        assert await_condition(lambda: _unwritten(database) == 0 and states(database) == {"delivered": 2}, 30)
        (tmp_path / ACME).rename(tmp_path / "away")
        queue(database, vendors, [update(3), update(4, vendor_id=BOLT, update_id="c")])
        assert await_condition(lambda: len(names(tmp_path / BOLT)) == 2, DEADLINE_SECONDS)
        assert await_condition(lambda: not worker.ready(), DEADLINE_SECONDS)
        (tmp_path / "away").rename(tmp_path / ACME)
        assert await_condition(lambda: worker.ready() and _unwritten(database) == 0, DEADLINE_SECONDS)
    assert names(tmp_path / ACME) == ["000000001-855.x12", "000000002-855.x12"]


def test_what_fits_no_file_is_a_dead_letter_with_its_rule(database: DatabaseSettings, tmp_path: Path) -> None:
    vendors = vendors_file(tmp_path, {ACME: "x12"})
    long = "crm:" + "9" * 40
    queue(database, vendors, [update(1, order_id=long), update(2)])
    with working(settings_of(database, vendors)):
        assert await_condition(lambda: states(database) == {"dead": 1, "delivered": 1}, DEADLINE_SECONDS)
        assert await_condition(lambda: _unwritten(database) == 0, DEADLINE_SECONDS)
    assert "x12.BAK03: order_id" in str(_row(database, "SELECT problem FROM delivery WHERE state = 'dead'"))
    assert names(tmp_path / ACME) == ["000000001-855.x12"]


def test_scheduled_files_wait_for_their_time(database: DatabaseSettings, tmp_path: Path) -> None:
    vendors = vendors_file(tmp_path, {ACME: "ubl"}, 'at = ["00:00:00", "12:00:00"]')
    queue(database, vendors, [update(1), update(2)])
    with working(settings_of(database, vendors)):
        assert await_condition(lambda: _row(database, "SELECT filed_at FROM subscriber") is not None, DEADLINE_SECONDS)
        assert states(database) == {"waiting": 2}
        with psycopg.connect(database.conninfo()) as session:
            session.execute("UPDATE subscriber SET filed_at = filed_at - interval '1 day'")
        assert await_condition(lambda: _unwritten(database) == 0 and states(database) == {"delivered": 2}, 60)
    assert len(names(tmp_path / ACME)) == 2


def test_a_directory_that_is_none_is_refused_at_the_start(database: DatabaseSettings, tmp_path: Path) -> None:
    vendors = vendors_file(tmp_path, {ACME: "ubl"})
    (tmp_path / ACME).rmdir()
    with pytest.raises(ConfigurationError, match="there is no directory"):
        VendorFilesWorker(settings_of(database, vendors), CollectorRegistry())


def _row(database: DatabaseSettings, query: str) -> object | None:
    with psycopg.connect(database.conninfo()) as session:
        row: Iterable[object] | None = session.execute(query).fetchone()
    return None if row is None else next(iter(row))


def _filed(database: DatabaseSettings) -> int:
    return int(str(_row(database, "SELECT coalesce(max(last), 0) FROM control_number")))


def _unwritten(database: DatabaseSettings) -> int:
    return int(str(_row(database, "SELECT count(*) FROM interchange WHERE written_at IS NULL")))
