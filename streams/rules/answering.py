"""Rules about what vendors answer: each speaks of its own lines only, and of no more than was ordered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from schemas.fulfilment_parts import CONFIRMATION, DESPATCH, VENDOR_SYSTEM, lines_of_vendor, lines_told_of
from schemas.models import Despatch, VendorAnswer, VendorAnswered
from streams.rules.catalogue import Finding, Parameter, Parameters, RuleDeclarations, Severity
from streams.rules.facts import Candidate, Section
from streams.rules.lifecycle import repeated
from streams.rules.quantities import ZERO, as_text, handled, shipped_quantities

DECLARED = RuleDeclarations()
rule = DECLARED.rule
_LINE_STATUSES = ("accepted", "changed", "rejected")
_OVER = ("cancelled", "deleted")


def _answer(candidate: Candidate) -> VendorAnswer | None:
    event = candidate.event
    return event.answer if isinstance(event, VendorAnswered) else None


def _despatch(candidate: Candidate) -> Despatch | None:
    """What the message says has left; None where it takes that back."""
    answer = _answer(candidate)
    told = answer.despatch if answer is not None else None
    return None if told is None or told.is_withdrawn else told


@rule("answer.identity", Section.ANSWERS, source="S8", owner="vendor")
def identity(candidate: Candidate) -> Iterator[Finding]:
    """A message comes from the vendor that it names."""
    answer = _answer(candidate)
    if answer is None:
        yield Finding("the event has no message; send it again", "answer")
        return
    system = candidate.event.source.system
    if system != f"{VENDOR_SYSTEM}{answer.vendor_id}":
        yield Finding(f"{system} speaks for {answer.vendor_id}; each vendor speaks for itself", "vendor_id")


@rule("answer.type_known", Section.ANSWERS, source="S3, UBL OrderResponse, DespatchAdvice", owner="vendor")
def type_known(candidate: Candidate) -> Iterator[Finding]:
    """A message is a confirmation with lines, or a dispatch advice."""
    answer = _answer(candidate)
    if answer is None:
        return
    if answer.answer_type not in (CONFIRMATION, DESPATCH):
        yield Finding(f"{answer.answer_type} is neither {CONFIRMATION} nor {DESPATCH}", "answer_type")
    elif answer.answer_type == CONFIRMATION and (answer.despatch is not None or not answer.lines):
        yield Finding("a confirmation has lines and no dispatch", "lines")
    elif answer.answer_type == DESPATCH and (answer.despatch is None or answer.lines):
        yield Finding("a dispatch advice has a dispatch, and lines only in it", "despatch")


@rule("answer.lines_present", Section.ANSWERS, source="I3, UBL cac:DespatchLine 1..n", owner="vendor")
def lines_present(candidate: Candidate) -> Iterator[Finding]:
    """What left has at least one line; what is taken back needs none."""
    told = _despatch(candidate)
    if told is not None and not told.lines:
        yield Finding(f"dispatch {told.despatch_id} has no lines; name what left", "despatch.lines")


@rule("answer.line_ids_unique", Section.ANSWERS, source="I3", owner="vendor")
def line_ids_unique(candidate: Candidate) -> Iterator[Finding]:
    """A confirmation names each line once."""
    answer = _answer(candidate)
    for line_id in repeated([line.line_id for line in answer.lines]) if answer is not None else ():
        yield Finding(f"line {line_id} is there twice; say once what becomes of it", "lines.line_id")


@rule("answer.vendor_lines", Section.ANSWERS, source="S8, S3", owner="ordersync")
def vendor_lines(candidate: Candidate) -> Iterator[Finding]:
    """A vendor speaks of lines that it supplies, and of no others."""
    answer = _answer(candidate)
    if answer is None or candidate.previous is None:
        return
    own = lines_of_vendor(candidate.previous, answer.vendor_id)
    for line_id in dict.fromkeys(lines_told_of(answer)):
        if line_id not in own:
            yield Finding(
                f"line {line_id} of {candidate.order_id} is none of {answer.vendor_id}'s; speak of your own lines",
                "line_id",
            )


@rule("answer.line_status", Section.ANSWERS, source="I3, UBL LineStatusCode", owner="vendor")
def line_status(candidate: Candidate) -> Iterator[Finding]:
    """Each line is accepted, changed or rejected; a change says what it changes."""
    answer = _answer(candidate)
    for line in answer.lines if answer is not None else ():
        if line.line_status not in _LINE_STATUSES:
            yield Finding(
                f"line {line.line_id}: {line.line_status} is none of {', '.join(_LINE_STATUSES)}", "line_status"
            )
        elif line.line_status == "changed" and line.quantity is None and line.promised_date is None:
            yield Finding(f"line {line.line_id} is changed, and neither quantity nor date says how", "line_status")


@rule("answer.quantity", Section.ANSWERS, source="I3", owner="vendor")
def quantity(candidate: Candidate) -> Iterator[Finding]:
    """Quantities dispatched and accepted are more than zero; a line of which nothing comes is rejected."""
    answer, told = _answer(candidate), _despatch(candidate)
    for line in answer.lines if answer is not None else ():
        if line.quantity is not None and line.line_status != "rejected" and line.quantity <= 0:
            yield Finding(
                f"line {line.line_id}: quantity {as_text(line.quantity)}; reject the line instead", "quantity"
            )
    for sent in told.lines if told is not None else ():
        if sent.quantity <= 0:
            yield Finding(f"line {sent.line_id}: quantity {as_text(sent.quantity)} is not more than zero", "quantity")


@rule("answer.confirmed_quantity", Section.ANSWERS, source="I3", owner="vendor")
def confirmed_quantity(candidate: Candidate) -> Iterator[Finding]:
    """No more is confirmed than was ordered."""
    answer, order = _answer(candidate), candidate.order
    if answer is None or order is None:
        return
    ordered = {line.line_id: line.quantity for line in order.order_lines}
    for line in answer.lines:
        known = ordered.get(line.line_id)
        if line.quantity is not None and known is not None and line.quantity > known:
            yield Finding(
                f"line {line.line_id}: {as_text(line.quantity)} confirmed of {as_text(known)} ordered", "quantity"
            )


@rule("answer.shipped_quantity", Section.ANSWERS, source="I3", owner="vendor")
def shipped_quantity(candidate: Candidate) -> Iterator[Finding]:
    """No more leaves than was ordered, all shipments of a line together."""
    told, order = _despatch(candidate), candidate.order
    if told is None or order is None:
        return
    shipped = shipped_quantities(candidate.fulfilment)
    ordered = {line.line_id: line.quantity for line in order.order_lines}
    for line_id in dict.fromkeys(line.line_id for line in told.lines):
        sent = shipped.get(line_id, ZERO)
        if line_id in ordered and sent > ordered[line_id]:
            yield Finding(
                f"line {line_id}: {as_text(sent)} shipped of {as_text(ordered[line_id])} ordered; correct the advice "
                "that says too much first",
                "quantity",
            )


@rule("answer.warehouse_line", Section.ANSWERS, source="S8", owner="inventory")
def warehouse_line(candidate: Candidate) -> Iterator[Finding]:
    """What inventory ships from its warehouse, no vendor ships."""
    told, fulfilment = _despatch(candidate), candidate.fulfilment
    if told is None or fulfilment is None:
        return
    own = handled(shipment for shipment in fulfilment.shipments if shipment.vendor_id is None)
    for line_id in dict.fromkeys(line.line_id for line in told.lines):
        if line_id in own:
            yield Finding(f"line {line_id} is shipped by inventory; it owns the fulfilment of that line", "line_id")


@rule("answer.after_cancellation", Section.ANSWERS, source="S1, S3", owner="vendor")
def after_cancellation(candidate: Candidate) -> Iterator[Finding]:
    """Goods of a cancelled or deleted order leave only with a reason."""
    answer, order = _answer(candidate), candidate.order
    if answer is None or order is None or (answer.reason or "").strip() or not _says_goods(candidate, answer):
        return
    status = _OVER[1] if candidate.is_deleted else order.order_status
    if status in _OVER:
        yield Finding(f"the order is {status}; hold the goods, or send the message with a reason", "reason")


@rule(
    "answer.despatched_in_future",
    Section.ANSWERS,
    source="I3, IFRS 15.38",
    owner="vendor",
    parameters={"most_hours": Parameter(Decimal(24), "Hours that a dispatch may lie ahead of its message")},
)
def despatched_in_future(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """A dispatch advice tells of what left, not of what is to leave some day."""
    told = _despatch(candidate)
    hours = timedelta(hours=float(parameters.number("most_hours")))
    if told is not None and told.shipped_at > candidate.event.committed_at + hours:
        yield Finding(
            f"dispatch {told.despatch_id} left at {told.shipped_at:%F %T}, told at "
            f"{candidate.event.committed_at:%F %T}; send the advice when the goods leave",
            "despatch.shipped_at",
        )


@rule(
    "answer.most_kept",
    Section.ANSWERS,
    source="I12",
    owner="ordersync",
    parameters={"most": Parameter(Decimal(200), "Messages of vendors that an order keeps")},
)
def most_kept(candidate: Candidate, parameters: Parameters) -> Iterator[Finding]:
    """An order keeps no more messages than its record can carry."""
    kept = candidate.fulfilment.vendor_answers if candidate.fulfilment is not None else []
    if len(kept) > parameters.number("most"):
        yield Finding(f"{len(kept)} messages about one order; send fewer, with more lines in each", "message_id")


@rule(
    "fulfilment.shipped_by_both", source="S8", owner="inventory", severity=Severity.WARNING, plain="fulfilment is None"
)
def shipped_by_both(candidate: Candidate) -> Iterator[Finding]:
    """A line is shipped by inventory or by its vendor, not by both."""
    shipments = candidate.fulfilment.shipments if candidate.fulfilment is not None else []
    own = handled(shipment for shipment in shipments if shipment.vendor_id is None)
    theirs = handled(shipment for shipment in shipments if shipment.vendor_id is not None)
    for line_id in sorted(own.keys() & theirs.keys()):
        yield Finding(
            f"line {line_id}: {as_text(own[line_id])} by inventory and {as_text(theirs[line_id])} by a vendor; correct "
            "one of them",
            "shipments",
        )


@rule("answer.rejected_line", source="S3", owner="vendor", severity=Severity.WARNING, plain="fulfilment is None")
def rejected_line(candidate: Candidate) -> Iterator[Finding]:
    """Lines of an order are supplied as they were ordered; where a vendor will not, somebody has to act."""
    order, fulfilment = candidate.order, candidate.fulfilment
    if order is None or fulfilment is None or candidate.is_deleted or order.order_status == _OVER[0]:
        return
    lines = {line.line_id: line for line in order.order_lines}
    for answer in fulfilment.vendor_answers:
        for told in answer.lines:
            line = lines.get(told.line_id)
            if line is not None and told.line_status == "rejected":
                yield Finding(f"line {line.line_id}: {answer.vendor_id} will not supply it", "order_lines")
            elif line is not None and told.quantity is not None and told.quantity < line.quantity:
                short = f"{as_text(told.quantity)} of {as_text(line.quantity)}"
                yield Finding(f"line {line.line_id}: {answer.vendor_id} will supply {short}", "order_lines")


@rule("fulfilment.own_part", Section.FULFILMENT, source="S8", owner="inventory")
def own_part(candidate: Candidate) -> Iterator[Finding]:
    """Inventory says nothing in a vendor's name."""
    told = getattr(candidate.event, "fulfilment", None)
    if told is not None and (told.vendor_answers or any(one.vendor_id is not None for one in told.shipments)):
        yield Finding("inventory's image has shipments or messages of vendors; map its own shipments only", "vendor_id")


def _says_goods(candidate: Candidate, answer: VendorAnswer) -> bool:
    if answer.despatch is not None:
        return _despatch(candidate) is not None
    return any(line.line_status != "rejected" for line in answer.lines)
