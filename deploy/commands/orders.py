"""`ordersync orders`: the history of one order, version by version."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.instants import INSTANT
from deploy.commands.options import (
    actor_of,
    cluster_of,
    home_option,
    json_option,
    print_json,
    unmasked_options,
    viewing_reason,
)
from deploy.commands.progress import ToldProgress
from deploy.commands.rules import rules_file_option
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.order_history import OrderHistory
    from deploy.order_systems import HeldBySystems


@click.group("orders")
def command() -> None:
    """Explain the versions of an order."""


@command.command("show")
@click.argument("order_id")
@home_option
@rules_file_option
@json_option
@click.option("--version", "number", type=click.IntRange(1), help="Only this version, with its whole state.")
@click.option("--as-of", type=INSTANT, help="What was known at this time (ISO 8601), with the whole state.")
@click.option("--systems", is_flag=True, help="Ask the ERP and the ledger, too, what they hold now.")
@click.option("--everywhere", is_flag=True, help="Read all partitions: for records on the wrong one.")
@unmasked_options
def show(
    order_id: str,
    home: Path,
    rules_file: Path | None,
    as_json: bool,
    number: int | None,
    as_of: datetime | None,
    systems: bool,
    everywhere: bool,
    unmasked: bool,
    reason: str | None,
) -> None:
    """Explain ORDER_ID (such as crm:42): what came, which rules ran, what was enriched, and what was emitted.

    What tells of a person (names, addresses, who did it) is masked; --unmasked shows it, and the audit has who saw it.

    Reads the topics only (with --systems also the databases behind the sinks), and of each topic only the partition
    of the order. The rules named are those of --rules-file that were in force when the source committed the fact.
    """
    # Only here: they need Kafka.
    from deploy.order_masking import masked_history
    from deploy.order_reading import read_order
    from deploy.viewing import Viewing, tell
    from streams.rules.governance import rules_of

    rules, why, cluster = rules_of(rules_file), viewing_reason(unmasked, reason), cluster_of(home)
    with ToldProgress() as progress:
        history = read_order(order_id, cluster, progress, everywhere=everywhere).history(rules)
    if not history.is_known:
        raise ConfigurationError(
            f"no topic tells of an order {order_id!r}; ids have the form <system>:<number>, such as crm:42. Captured "
            "events are kept for a month; with --everywhere all partitions are searched"
        )
    chosen = _chosen(history, number, as_of)
    held = _held(order_id, home) if systems else None
    if why is None:
        chosen, held = masked_history(chosen), _masked(held)
    else:
        tell(Viewing(actor_of(None), order_id, why), cluster)
    if as_json:
        _print_json(chosen, held)
    else:
        _print(chosen, held, whole_state=number is not None or as_of is not None)


def _chosen(history: OrderHistory, number: int | None, as_of: datetime | None) -> OrderHistory:
    if as_of is not None:
        history = history.as_of(as_of)
        if not history.is_known:
            raise ConfigurationError(f"nothing was known of {history.order_id} at {as_of.isoformat()}")
    if number is None:
        return history
    versions = tuple(version for version in history.versions if version.state.version == number)
    if not versions:
        known = f"its versions are 1 to {len(history.versions)}" if history.versions else "it has none"
        raise ConfigurationError(f"{history.order_id} has no version {number}: {known}")
    return replace(
        history, versions=versions, captured=(), rejections=(), parked=(), audits=(), mismatches=(), vendor_updates=()
    )


def _held(order_id: str, home: Path) -> HeldBySystems:
    # Only here: they need PostgreSQL's client.
    from deploy.commands.systems import systems_of
    from deploy.order_systems import read_systems

    return read_systems(order_id, systems_of(home))


def _masked(held: HeldBySystems | None) -> HeldBySystems | None:
    from deploy.order_masking import masked_row

    if held is None:
        return None
    erp = None if held.erp is None else masked_row(held.erp)
    return replace(held, erp=erp, ledger=[masked_row(line) for line in held.ledger])


def _print_json(history: OrderHistory, held: HeldBySystems | None) -> None:
    from deploy.order_telling import document_of

    systems = {} if held is None else {"erp": held.erp, "ledger": list(held.ledger)}
    print_json(document_of(history) | systems)


def _print(history: OrderHistory, held: HeldBySystems | None, *, whole_state: bool) -> None:
    from deploy.order_telling import lines_of, state_lines

    for line in lines_of(history):
        click.echo(line)
    if whole_state and history.versions:
        state = history.versions[-1].state
        click.echo(f"\nstate of version {state.version}")
        for line in state_lines(state):
            click.echo(line)
    if held is not None:
        _print_systems(held)


def _print_systems(held: HeldBySystems) -> None:
    erp = held.erp
    if erp is None:
        click.echo("\nthe ERP does not have it")
    else:
        click.echo(
            f"\nthe ERP holds version {erp['version']}: {erp['order_status']}, {erp['fulfilment_status']}, "
            f"{erp['billing_status']}, {erp['payment_status']}; {erp['payable_amount']} "
            f"{erp['document_currency_code']}, open {erp['open_amount']}"
        )
    click.echo(f"the ledger holds {len(held.ledger)} journal lines")
    for line in held.ledger:
        side = "debit" if line["debit_amount"] else "credit"
        click.echo(
            f"  version {line['order_version']} {line['posting_date']} {line['account_code']} {side} "
            f"{line['debit_amount'] or line['credit_amount']} {line['currency_code']}  {line['description']}"
        )
