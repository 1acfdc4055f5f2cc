"""The processor and the reference agree after any events, duplicates, arrivals, deadlines and restarts."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from schemas.attributes import CustomerId, OrderId
from schemas.models import CapturedEvent, FulfilmentCaptured, OrderCaptured, PaymentsCaptured
from tests.unit.order_lives import Item, Life, customer, order, payment, shipment
from tests.unit.order_reference import Reference
from tests.unit.processing_desk import PARKED_FOR, Desk, codec_of, section_of

ORDERS = st.sampled_from([OrderId("crm:1"), OrderId("crm:2")])
CUSTOMERS = st.sampled_from(["C1", "LATE"])


class ProcessorAgainstReference(RuleBasedStateMachine):
    """Both take the same; what they say must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.reference = Reference(PARKED_FOR, {CustomerId("C1")})
        self.lives: dict[OrderId, Life] = {}
        self.sent: list[CapturedEvent] = []

    @rule(
        order_id=ORDERS, buyer=CUSTOMERS, lines=st.integers(1, 3), is_sound=st.sampled_from([True, True, True, False])
    )
    def order_changes(self, order_id: OrderId, buyer: str, lines: int, is_sound: bool) -> None:
        items = [Item(str(number), "P1", "5", "1.00") for number in range(lines)]
        facts = order(items, customer=buyer, order_id=order_id)
        if not is_sound:
            facts = facts.model_copy(update={"payable_amount": Decimal(1)})
        self._send(self._life(order_id).ordered(facts))

    @rule(order_id=ORDERS)
    def order_is_deleted(self, order_id: OrderId) -> None:
        self._send(self._life(order_id).ordered(None))

    @rule(order_id=ORDERS, line=st.integers(0, 1), is_deleted=st.booleans())
    def goods_leave(self, order_id: OrderId, line: int, is_deleted: bool) -> None:
        self._send(self._life(order_id).handled(shipment(1, {str(line): "1"}), deleted=is_deleted))

    @rule(order_id=ORDERS, amount=st.integers(1, 2))
    def money_comes(self, order_id: OrderId, amount: int) -> None:
        self._send(self._life(order_id).settled(payment(1, Decimal(amount))))

    @rule(ago=st.integers(1, 6))
    def something_comes_again(self, ago: int) -> None:
        for event in self.sent[-ago:][:1]:
            self._take(event)

    @rule()
    def everything_comes_again(self) -> None:
        for event in self.sent:
            self._take(event)

    @rule()
    def customer_becomes_known(self) -> None:
        self.desk.arrive(customer("LATE"))
        self.reference.arrive(CustomerId("LATE"), self.desk.now)

    @rule(minutes=st.sampled_from([10, 50]))
    def time_passes(self, minutes: int) -> None:
        self.desk.now += timedelta(minutes=minutes)
        self.desk.expire()
        self.reference.expire(self.desk.now)

    @rule()
    def worker_restarts(self) -> None:
        self.desk.restart()

    @invariant()
    def versions_and_facts_agree(self) -> None:
        for order_id, known in self.reference.orders.items():
            state = self.desk.state(order_id)
            if known.version == 0:
                assert state is None
                continue
            assert state is not None
            assert state.version == known.version
            assert (state.order_status == "deleted") == known.is_deleted
            assert state.order == known.facts.get(OrderCaptured)
            assert state.fulfilment == known.facts.get(FulfilmentCaptured)
            assert state.settlement == known.facts.get(PaymentsCaptured)

    @invariant()
    def waiting_rooms_agree(self) -> None:
        for order_id, known in self.reference.orders.items():
            parked = self.desk.parked(order_id)
            held = [] if parked is None else [one.value for one in parked.held]
            assert held == [codec_of(section_of(event).value).encode(event) for event in known.waiting]
            assert parked is None or parked.deadline_at == known.deadline_at
        waited_for = {order_id for orders in self.desk.awaited.values() for order_id in orders}
        assert waited_for == set(self.desk.places)

    @invariant()
    def dead_letters_agree(self) -> None:
        assert len(self.desk.rejections()) == self.reference.refused

    def teardown(self) -> None:
        """Every version was written once, in order."""
        for order_id, known in self.reference.orders.items():
            numbers = [event.state.version for event in self.desk.events() if event.state.order_id == order_id]
            assert numbers == list(range(1, known.version + 1))

    def _life(self, order_id: OrderId) -> Life:
        return self.lives.setdefault(order_id, Life(order_id=order_id))

    def _send(self, event: CapturedEvent) -> None:
        self.sent.append(event)
        self._take(event)

    def _take(self, event: CapturedEvent) -> None:
        self.desk.take(event)
        self.reference.take(event, self.desk.now)


TestProcessorAgainstReference = ProcessorAgainstReference.TestCase
TestProcessorAgainstReference.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
