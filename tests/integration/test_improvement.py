"""`ordersync improvement` over topics of a real broker, against figures that were worked out by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import Producer

from consumers.reconcile.attributes import text_of
from deploy.cli import run
from deploy.improvement.telling import DELAY_COLUMNS
from deploy.local.endpoints import Endpoints
from schemas.attributes import CanonicalModel, OrderId
from schemas.codec import TopicCodec
from schemas.models import (
    FxRate,
    Mismatch,
    OrderEvent,
    OrderState,
    OriginalMessage,
    Rejection,
    SourcePosition,
    Violation,
)
from schemas.registry import SchemaRegistry
from schemas.topics import (
    CATALOGUE,
    FULFILMENT_CAPTURED,
    FX_RATES,
    MISMATCHES,
    ORDER_EVENTS,
    ORDER_STATE,
    ORDERS_CAPTURED,
    REJECTED,
)
from tests.unit.order_samples import order_captured, order_state, sales_order

AS_OF = datetime(2026, 11, 21, 12, tzinfo=UTC)
W43, W44, W45, W46, W47 = (datetime(2026, 10, 20, 9, tzinfo=UTC) + timedelta(weeks=past) for past in range(5))
"""Tuesdays; the last four are in the weeks that are asked for."""
Written = tuple[datetime, str, CanonicalModel | None]


def source(system: str, transaction_id: int = 7) -> SourcePosition:
    return SourcePosition(system=system, transaction_id=transaction_id, position=1, sequence=0)


def mismatch(
    order_id: str, system: str, at: datetime, cause: str, amount: str | None, currency: str = "EUR"
) -> Written:
    key = f"{order_id}/{system}/payable_amount"
    value = None if amount is None else Decimal(amount)
    found = Mismatch(
        mismatch_id=key,
        order_id=OrderId(order_id),
        system=system,
        reference="state",
        kind="different",
        amount=value,
        currency_code=None if value is None else currency,
        detected_at=at,
        cause=cause,
    )
    return at, key, found


def healed(one: Written, after: timedelta) -> Written:
    return one[0] + after, one[1], None


def rejection(
    number: int, order_id: str | None, at: datetime, rules: Iterable[str], original: OriginalMessage
) -> Written:
    letter = Rejection(
        rejection_id=f"letter-{number}",
        stage="streams",
        order_id=None if order_id is None else OrderId(order_id),
        violations=[Violation(rule=rule, message="wrong") for rule in rules],
        rejected_at=at,
        code_version="1",
        original=original,
    )
    return at, order_id or "?", letter


def version(number: int, system: str, topic: str, took: tuple[float, float], at: datetime, tx: int = 7) -> Written:
    """Processed at a time, so many seconds after the commit: in the capture, and in the streams."""
    captured_at = at - timedelta(seconds=took[1])
    state = order_state(number).model_copy(
        update={
            "processed_at": at,
            "committed_at": captured_at - timedelta(seconds=took[0]),
            "order_source": source(system, tx),
            "fulfilment_source": source(system, tx),
        }
    )
    return at, state.order_id, OrderEvent(event_type="OrderChanged", topic=topic, captured_at=captured_at, state=state)


@pytest.fixture(scope="module")
def cluster(fresh_topics: Endpoints) -> Iterator[Endpoints]:
    """Four weeks and one before of what goes wrong."""
    with closing(SchemaRegistry(fresh_topics.registry())) as registry:
        codecs = {name: TopicCodec(name, topic.model, registry) for name, topic in CATALOGUE.items()}
        producer = Producer(fresh_topics.kafka().producer_config())

        def write(topic: str, *records: Written) -> None:
            for at, key, value in records:
                encoded = None if value is None else codecs[topic].encode(value)
                producer.produce(topic, encoded, key.encode(), timestamp=round(at.timestamp() * 1000))

        def refused(payable: str, currency: str = "EUR") -> OriginalMessage:
            order = sales_order(1).model_copy(
                update={"payable_amount": Decimal(payable), "document_currency_code": currency}
            )
            value = codecs[ORDERS_CAPTURED].encode(order_captured(1).model_copy(update={"order": order}))
            return OriginalMessage(topic=ORDERS_CAPTURED, partition=0, offset=1, timestamp_at=W46, value=value)

        def state(order_id: str, payable: str) -> OrderState:
            order = sales_order(1).model_copy(update={"payable_amount": Decimal(payable)})
            return order_state(1).model_copy(update={"order_id": order_id, "order": order})

        write(
            FX_RATES,
            *(
                (
                    W44,
                    f"USD:EUR:{day}",
                    FxRate(
                        rate_key=f"USD:EUR:{day}",
                        base_currency_code="USD",
                        quote_currency_code="EUR",
                        rate_date=day,
                        rate=Decimal(rate),
                        provider="ECB",
                        source=source("finance"),
                        committed_at=W44,
                        captured_at=W44,
                    ),
                )
                for day, rate in ((date(2026, 11, 20), "0.9"), (date(2026, 11, 22), "0.1"))
            ),
        )
        first = mismatch("crm:1", "erp", W45, "manual_change", "10")
        larger = (W45 + timedelta(minutes=1), first[1], first[2].model_copy(update={"amount": Decimal(12)}))  # type: ignore[union-attr]
        again = mismatch("crm:1", "erp", W47, "manual_change", "5", "USD")
        lost = mismatch("crm:3", "ledger", W44, "lost_event", None)
        old = mismatch("crm:2", "erp", W43, "manual_change", "100")
        write(MISMATCHES, old, lost, healed(lost, timedelta(minutes=1)), first, larger)
        write(MISMATCHES, healed(first, timedelta(hours=1)), again, healed(again, timedelta(minutes=30)))
        row = OriginalMessage(topic="inventory:public.shipment", partition=-1, offset=5, timestamp_at=W47)
        letter = rejection(1, "crm:10", W46, ("order.payable_total", "order.tax_total"), refused("50"))
        write(
            REJECTED,
            rejection(0, "crm:9", W43, ("order.tax_total",), refused("5000")),
            letter,
            letter,
            rejection(2, "crm:10", W47, ("order.payable_total",), refused("70")),
            rejection(3, "crm:1", W47, ("missing_value",), row),
            rejection(4, "crm:11", W47, ("order.currency_known",), refused("999", "XXX")),
            rejection(5, None, W47, ("undecodable",), refused("1").model_copy(update={"value": b"\x00no"})),
        )
        write(ORDER_STATE, (W44, "crm:1", state("crm:1", "200")), (W44, "crm:7", state("crm:7", "1")))
        write(
            ORDER_EVENTS,
            version(1, "crm", ORDERS_CAPTURED, (0.25, 0.75), W47),
            version(2, "crm", ORDERS_CAPTURED, (1, 1), W47),
            version(3, "crm", ORDERS_CAPTURED, (1, 2), W47),
            version(4, "crm", ORDERS_CAPTURED, (35, 5), W47),
            version(5, "inventory", FULFILMENT_CAPTURED, (1, 99), W46),
            version(6, "crm", ORDERS_CAPTURED, (90_000, 1), W46, tx=0),
            version(7, "crm", ORDERS_CAPTURED, (90_000, 1), W43),
        )
        assert producer.flush(30) == 0
    yield fresh_topics


@pytest.fixture
def environment(cluster: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)


def test_weeks_causes_and_durations_are_those_worked_out_by_hand(
    environment: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weeks.csv"
    asked = ["improvement", "--weeks", "4", "--as-of", AS_OF.isoformat(), "--csv", str(path), "--json"]
    assert run(asked) == 0
    told = json.loads(capsys.readouterr().out)
    weeks = [
        (
            one["week"],
            one["versions"],
            one["rejections"],
            one["mismatches"],
            one["delays"],
            one["per_thousand_versions"],
        )
        for one in told["weeks"]
    ]
    assert weeks == [
        ("2026-W44", 0, 0, 1, 0, None),
        ("2026-W45", 0, 0, 1, 0, None),
        ("2026-W46", 1, 2, 0, 1, 2000.0),
        ("2026-W47", 4, 4, 1, 1, 1250.0),
    ]
    columns = ("kind", "name", "source", "system", "count", "orders", "amount", "open", "trend")
    late = [text_of(sales_order(number).payable_amount) for number in (4, 5)]
    assert {tuple(one[name] for name in columns) for one in told["causes"]} == {
        ("rejection", "missing_value", "inventory", "", 1, 1, "200", 0, "new"),
        ("rejection", "order.payable_total", "crm", "", 2, 1, "70", 0, "new"),
        ("rejection", "order.tax_total", "crm", "", 1, 1, "50", 0, "new"),
        ("mismatch", "manual_change", "crm", "erp", 2, 1, "12", 1, "steady"),
        ("rejection", "order.currency_known", "crm", "", 1, 1, "0", 0, "new"),
        ("rejection", "undecodable", "unknown", "", 1, 1, "0", 0, "new"),
        ("mismatch", "lost_event", "crm", "ledger", 1, 1, "0", 0, "gone"),
        ("delay", "capture", "crm", "", 1, 1, late[0], 0, "new"),
        ("delay", "streams", "inventory", "", 1, 1, late[1], 0, "new"),
    }
    of_errors = [one["name"] for one in told["causes"] if one["kind"] != "delay"]
    assert of_errors[:4] == ["missing_value", "order.payable_total", "order.tax_total", "manual_change"]
    assert of_errors[-1] == "lost_event"
    [by_hand] = [one for one in told["causes"] if one["name"] == "manual_change"]
    assert (by_hand["median_healing_seconds"], by_hand["by_week"]) == (2700.0, {"2026-W45": 1, "2026-W47": 1})
    assert told["durations"] == [
        dict(zip(DELAY_COLUMNS, ("2026-W46", "inventory", 1, 1, 100.0, 100.0), strict=True)),
        dict(zip(DELAY_COLUMNS, ("2026-W47", "crm", 4, 1, 2.0, 40.0), strict=True)),
    ]
    assert told["missing_rates"] == ["XXX"]
    first, second = told["recommendations"]
    assert first.startswith("Mend first: rule missing_value at source inventory (once in 1 order, 200.00 EUR at stake")
    assert second.startswith("Speed up first: source ")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(one["count"]) for one in rows if one["kind"] == "mismatch") == 3
    assert {one["amount"] for one in rows if one["name"] == "manual_change"} == {"12", "4.5"}
    assert path.with_name("weeks.durations.csv").read_text(encoding="utf-8").count("\n") == 3


def test_people_read_what_to_mend_first(environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["improvement", "--weeks", "4", "--as-of", AS_OF.isoformat(), "--currency", "USD"]) == 0
    told = capsys.readouterr().out
    assert "There is no rate from EUR to USD" in told
    first = "Mend first: manual change in erp, of orders of crm (2 times in 1 order, 5.00 USD at stake, 1 open, steady)"
    assert first in " ".join(told.split())
    assert run(["improvement", "--as-of", "2027-06-01"]) == 0
    assert "(1 open from before these weeks)" in " ".join(capsys.readouterr().out.split())
    assert run(["improvement", "--as-of", "2026-01-01"]) == 0
    assert "Nothing was refused, differed or came late lately." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--weeks", "1"], "1 is not in the range"),
        (["--currency", "EURO"], "EURO"),
        (["--late-seconds", "-1"], "-1"),
        (["--csv", "/nowhere/weeks.csv"], "/nowhere/weeks.csv cannot be written"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    environment: None, options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["improvement", *options]) == 2
    assert why in capsys.readouterr().err
