"""The console's index: what is found by which words, that writing twice changes nothing, what a question cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.console.index.questions import PAGE, Questions
from deploy.console.index.store import IndexStore
from deploy.console.index.terms import folded, order_terms, question_words
from deploy.console.index.writing import Batch, write
from schemas.attributes import OrderId
from schemas.audit_chain import Deed, begin_chain, next_event
from schemas.models import (
    AwaitedRecord,
    Mismatch,
    OrderState,
    OriginalMessage,
    ParkedOrder,
    Rejection,
    Violation,
)
from tests.unit.order_samples import COMMITTED_AT, order_state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IndexStore]:
    with closing(IndexStore(tmp_path, "cluster")) as made:
        yield made


def named(number: int, name: str, **changes: object) -> OrderState:
    state = order_state(number)
    assert state.enrichment is not None
    enrichment = state.enrichment.model_copy(update={"customer_name": name})
    return state.model_copy(update={"enrichment": enrichment, **changes})


def put(store: IndexStore, *states: OrderState) -> None:
    write(store, Batch(states={state.order_id: state for state in states}), {})


def found(store: IndexStore, text: str) -> list[str]:
    return [one.order_id for one in Questions(store).find(text).orders]


@pytest.mark.parametrize(
    "text",
    [
        "crm:SO-00000042",
        "CRM:so-00000042",
        "so-00000042",
        "00000042",
        "42",
        "PO-000042",
        "c-00042",
        "6f1d2b52-3a39-5d0e-9a55-00000000002a",
        "müller",
        "MULLER",
        "Muller Sohne",
        "söhne 42",
        "mül",
        "mulle",
        "crm:SO-0000004",
        "6f1d2b52-3a39-5d0e-9a55-00000000002",
        "“Müller”",
        'muller" OR "x',
        "  (42) ",
    ],
)
def test_order_is_found_by_each_of_its_ids_names_and_their_beginnings(store: IndexStore, text: str) -> None:
    put(store, named(42, "Müller & Söhne KG"), named(7, "Weber AG"))
    expected = ["crm:SO-00000042"] if "OR" not in text else []
    assert found(store, text) == expected


def test_every_word_has_to_be_found(store: IndexStore) -> None:
    put(store, named(42, "Müller KG"), named(7, "Weber KG"))
    assert found(store, "kg muller") == ["crm:SO-00000042"]
    assert found(store, "muller weber") == []


def test_whole_word_comes_before_what_only_begins_so(store: IndexStore) -> None:
    put(store, named(42, "Ott"), named(7, "Ottensen"))
    assert found(store, "ott") == ["crm:SO-00000042"]
    assert found(store, "otte") == ["crm:SO-00000007"]


def test_newest_come_first_page_by_page(store: IndexStore) -> None:
    states = [order_state(n).model_copy(update={"placed_at": COMMITTED_AT + timedelta(hours=n)}) for n in range(120)]
    put(store, *states[60:], *states[:60])
    questions, seen, before = Questions(store), list[str](), None
    while True:
        page = questions.find("gmbh", before)
        seen += [one.order_id for one in page.orders]
        assert len(page.orders) <= PAGE
        if page.next_before is None:
            break
        before = page.next_before
    assert seen == [state.order_id for state in reversed(states)]
    assert [one.order_id for one in questions.find("").orders] == seen[:PAGE]


def test_new_version_is_found_by_its_new_words_only_and_the_same_again_changes_nothing(store: IndexStore) -> None:
    put(store, named(42, "Müller KG"))
    for _ in range(2):
        put(store, named(42, "Weber AG", order_status="completed"))
    assert (found(store, "muller"), found(store, "weber")) == ([], ["crm:SO-00000042"])
    assert Questions(store).tallies() == {"completed": 1}
    write(store, Batch(states={"crm:SO-00000042": None}), {})
    assert (found(store, "weber"), Questions(store).tallies()) == ([], {})
    store._writer.execute("INSERT INTO order_words (order_words) VALUES ('integrity-check')")


def test_orders_of_one_moment_all_have_their_place(store: IndexStore) -> None:
    states = [order_state(n).model_copy(update={"placed_at": COMMITTED_AT}) for n in range(300)]
    put(store, *states)
    assert store.number("SELECT count(*) FROM found_order") == 300


def test_dead_letters_know_whether_somebody_put_them_back(store: IndexStore) -> None:
    original = OriginalMessage(topic="orders.captured", partition=1, offset=7, timestamp_at=COMMITTED_AT, value=b"x")
    letter = Rejection(
        rejection_id="r1",
        stage="streams",
        order_id=OrderId("crm:1"),
        violations=[Violation(rule="order.tax_total", message="it does not add up")],
        rejected_at=COMMITTED_AT,
        code_version="1",
        original=original,
    )
    write(store, Batch(letters={"r1": (letter, 2, 9)}), {("orders.rejected", 2): 10})
    questions = Questions(store)
    [listed] = questions.letters("order.tax_total", "crm:1")
    assert (listed.partition, listed.offset, listed.is_done, questions.open_letters()) == (2, 9, False, 1)
    assert questions.refused_by_rule() == [("order.tax_total", 1)]
    assert questions.letters("order.tax") == []
    viewed = Deed("ada", "DeadLetterViewed", "x", "r1", audit_id="a1")
    seen, _ = next_event(begin_chain("console"), viewed, COMMITTED_AT)
    write(store, Batch(deeds=[seen]), {})
    assert questions.open_letters() == 1
    write(store, Batch(deeds=[seen.model_copy(update={"audit_id": "a2", "action": "DeadLetterReplayed"})]), {})
    assert (questions.open_letters(), questions.letters()) == (0, [])
    assert questions.letters(open_only=False)[0].is_done
    assert store.positions() == {("orders.rejected", 2): 10}


def test_waiting_orders_and_differences_come_and_go(store: IndexStore) -> None:
    parked = ParkedOrder(
        order_id=OrderId("crm:1"),
        awaits=[AwaitedRecord(topic="master.customers", key="C1")],
        parked_at=COMMITTED_AT,
        deadline_at=COMMITTED_AT,
        held=[],
    )
    mismatch = Mismatch(
        mismatch_id="crm:1/erp/x",
        order_id=OrderId("crm:1"),
        system="erp",
        reference="state",
        kind="different",
        amount=Decimal("1.5"),
        detected_at=COMMITTED_AT,
    )
    write(store, Batch(parked={"crm:1": parked}, mismatches={"crm:1/erp/x": mismatch}), {})
    questions = Questions(store)
    assert [one.awaits for one in questions.parked()] == [parked.awaits]
    assert (questions.mismatches(), questions.mismatches_by_system()) == ([mismatch], [("erp", 1)])
    write(store, Batch(parked={"crm:1": None}, mismatches={"crm:1/erp/x": None}), {})
    assert (questions.parked(), questions.mismatches()) == ([], [])


def test_index_of_another_cluster_or_none_at_all_is_made_anew(tmp_path: Path) -> None:
    for cluster, anew, kept in (("a", False, 0), ("a", False, 1), ("b", False, 0), ("b", True, 0)):
        with closing(IndexStore(tmp_path, cluster, anew=anew)) as store:
            assert store.number("SELECT count(*) FROM found_order") == kept
            put(store, order_state(1))
    (tmp_path / "index.sqlite").write_bytes(b"no database at all" * 1_000)
    with closing(IndexStore(tmp_path, "b")) as store:
        assert found(store, "gmbh") == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80))
def test_no_question_is_syntax(store: IndexStore, text: str) -> None:
    Questions(store).find(text)


@given(name=st.text(max_size=60))
def test_words_of_a_question_are_among_the_words_of_what_it_quotes(name: str) -> None:
    words = set(order_terms(named(1, name)).split(" "))
    assert set(question_words(name)) <= words
    assert folded(folded(name)) == folded(name)
