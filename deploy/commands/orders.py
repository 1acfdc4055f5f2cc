"""`ordersync orders`: the whole life of one order, in every system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.options import home_option, json_option, print_json
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.order_life import OrderLife


@click.group("orders")
def command() -> None:
    """Show the whole life of an order, in every system."""


@command.command("show")
@click.argument("order_id")
@home_option
@json_option
def show(order_id: str, home: Path, as_json: bool) -> None:
    """Every version, dead letter and journal line of ORDER_ID (such as crm:42), and what the ERP holds."""
    # Only here: they need Kafka and PostgreSQL.
    from deploy.commands.systems import systems_of
    from deploy.order_life import read_order_life

    life = read_order_life(order_id, systems_of(home))
    if not life.is_known:
        raise ConfigurationError(
            f"no system knows the order {order_id!r}; ids have the form <system>:<number>, such as crm:42"
        )
    if as_json:
        print_json(_plain(life))
    else:
        _print(life, Console(highlight=False))


def _plain(life: OrderLife) -> dict[str, object]:
    return {
        "order_id": life.order_id,
        "versions": [version.model_dump(mode="json") for version in life.versions],
        "rejections": [letter.model_dump(mode="json", exclude={"original"}) for letter in life.rejections],
        "parked": life.parked.model_dump(mode="json", exclude={"held"}) if life.parked else None,
        "erp": life.erp,
        "ledger": list(life.ledger),
    }


def _print(life: OrderLife, console: Console) -> None:
    console.print(_versions(life))
    for letter in life.rejections:
        for violation in letter.violations:
            console.print(f"[red]rejected[/] {letter.rejected_at:%F %T} {violation.rule}: {violation.message}")
    if life.parked is not None:
        awaited = ", ".join(f"{one.topic} {one.key}" for one in life.parked.awaits)
        console.print(f"[yellow]parked[/] since {life.parked.parked_at:%F %T}, waits for {awaited}")
    if life.erp is not None:
        erp = life.erp
        console.print(
            f"ERP holds version {erp['version']}: {erp['order_status']}, {erp['fulfilment_status']}, "
            f"{erp['billing_status']}, {erp['payment_status']}; {erp['payable_amount']} "
            f"{erp['document_currency_code']}, open {erp['open_amount']}"
        )
    console.print(_ledger(life))


def _versions(life: OrderLife) -> Table:
    table = Table(title=f"Order {life.order_id}", title_justify="left", box=None, header_style="bold")
    for heading in ("version", "committed at", "event", "order", "fulfilment", "billing", "payment", "payable"):
        table.add_column(heading)
    for event in life.versions:
        state = event.state
        payable = "" if state.order is None else f"{state.order.payable_amount} {state.order.document_currency_code}"
        table.add_row(
            str(state.version),
            f"{state.committed_at:%F %T.%f}",
            event.event_type,
            state.order_status,
            state.fulfilment_status,
            state.billing_status,
            state.payment_status,
            payable,
        )
    return table


def _ledger(life: OrderLife) -> Table:
    table = Table(title="Journal", title_justify="left", box=None, header_style="bold")
    for heading in ("version", "date", "entry", "account", "debit", "credit", "currency"):
        table.add_column(heading)
    for line in life.ledger:
        table.add_row(
            str(line["order_version"]),
            str(line["posting_date"]),
            str(line["description"]),
            str(line["account_code"]),
            f"{line['debit_amount'] or ''}",
            f"{line['credit_amount'] or ''}",
            str(line["currency_code"]),
        )
    return table
