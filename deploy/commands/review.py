"""`ordersync review`: orders of documents that wait for a person, and what that person decides."""

from __future__ import annotations

import getpass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.documents import documents_dir_option, register_in
from deploy.commands.options import json_option, print_json
from deploy.reviewing import Decision, review_in
from deploy.reviewing import accept as take
from deploy.reviewing import reject as refuse
from schemas.errors import ConfigurationError


@click.group("review")
def command() -> None:
    """Orders of documents that wait for a person: show, accept, reject."""


@command.command("list")
@documents_dir_option
@json_option
@click.option(
    "--state", default="waiting", show_default=True, type=click.Choice(["waiting", "accepted", "rejected", "done"])
)
def list_reviews(documents_dir: Path, as_json: bool, state: str) -> None:
    """The queue, oldest first."""
    reviews = register_in(documents_dir).reviews(state)
    if as_json:
        print_json(reviews)
        return
    table = Table("since", "id", "source", "order", "lines", "why", box=None, header_style="bold")
    for review in reviews:
        why = "; ".join(dict.fromkeys(doubt.rule for doubt in review.doubts))
        table.add_row(review.since[:19], review.id, review.source, review.read.number, str(len(review.read.lines)), why)
    Console(highlight=False, soft_wrap=True).print(table)
    click.echo(f"{len(reviews)} {state}", err=True)


@command.command("show")
@documents_dir_option
@json_option
@click.argument("review_id")
def show(documents_dir: Path, as_json: bool, review_id: str) -> None:
    """What was read, where in the document, how sure it is, and what each doubt is about."""
    review = review_in(register_in(documents_dir), review_id)
    if as_json:
        print_json(review)
        return
    read = review.read
    click.echo(
        f"{review.id}: {read.kind.value} {read.number} of {read.issue_date}, {read.currency}, from {review.source}"
    )
    click.echo(f"document {review.document}, {review.state} since {review.since}")
    click.echo(f"buyer: {read.buyer.name or ''} {', '.join(read.buyer.codes)}".rstrip())
    for place, line in enumerate(read.lines):
        product = " / ".join([*line.codes, line.name or ""])
        numbers = f"{line.quantity} {line.unit_code or ''} at {line.price} = {line.amount}"
        click.echo(f"  lines.{place}: {product}: {numbers} ({line.place})")
    click.echo(f"  net {read.net_total}, tax {read.tax_total}, payable {read.payable}")
    for name, evidence in read.evidence.items():
        click.echo(f"  {name}: {evidence.text!r} at {evidence.place}, confidence {evidence.confidence:.2f}")
    for doubt in review.doubts:
        click.echo(f"? {doubt.rule} ({doubt.where}): {doubt.message}")
        for target, title, likeness in doubt.candidates:
            click.echo(f"    {target}  {title}  {likeness:.2f}")


@command.command("accept")
@documents_dir_option
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Correct a field, such as lines.0.product=P1."
)
@click.option("--note", default="", help="Why.")
@click.option("--by", "actor", default=None, help="Who decides; by default this account.")
@click.option("--remember/--no-remember", default=True, help="Use what is said of customers and products from now on.")
@click.argument("review_id")
def accept(
    documents_dir: Path, settings: tuple[str, ...], note: str, actor: str | None, remember: bool, review_id: str
) -> None:
    """Let an order be taken, as corrected; the worker takes it within seconds."""
    register = register_in(documents_dir)
    review = review_in(register, review_id)
    corrections = dict(_pair(setting) for setting in settings)
    take(register, review, Decision(actor or getpass.getuser(), note, corrections, remember))
    click.echo(f"{review_id} is accepted; `ordersync documents show {review.document[:12]}` tells what becomes of it")


@command.command("reject")
@documents_dir_option
@click.option("--note", required=True, help="Why; kept in the record of the document.")
@click.option("--by", "actor", default=None, help="Who decides; by default this account.")
@click.argument("review_id")
def reject(documents_dir: Path, note: str, actor: str | None, review_id: str) -> None:
    """Let an order not be taken, for good."""
    register = register_in(documents_dir)
    refuse(register, review_in(register, review_id), Decision(actor or getpass.getuser(), note))
    click.echo(f"{review_id} is rejected")


def _pair(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise ConfigurationError(f"{setting!r} is not of the form FIELD=VALUE")
    return name.strip(), value.strip()
