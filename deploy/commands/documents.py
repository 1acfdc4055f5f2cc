"""`ordersync documents`: what came, what became of it, and what would be read from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.options import json_option, print_json
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from producers.documents.answers import ReadAnswer
    from producers.documents.order import ReadOrder
    from producers.documents.register import Register
    from producers.documents.source import Source

F = TypeVar("F", bound=Callable[..., Any])


def documents_dir_option(function: F) -> F:
    """`--documents-dir`: where the worker keeps originals, register and review queue."""
    return click.option(
        "--documents-dir",
        type=click.Path(file_okay=False, path_type=Path),
        required=True,
        envvar="ORDERSYNC_DOCUMENTS_DIR",
        show_envvar=True,
        help="Directory of originals, register and review queue.",
    )(function)


def sources_option(function: F) -> F:
    """`--sources`: the file of sources."""
    return click.option(
        "--sources",
        type=click.Path(dir_okay=False, exists=True, path_type=Path),
        envvar="ORDERSYNC_SOURCES",
        show_envvar=True,
        help="TOML file of the sources.",
    )(function)


def register_in(directory: Path) -> Register:
    """The register of a worker. Raises ConfigurationError where there is none."""
    # Only here: the libraries of the documents are an extra.
    from producers.documents.register import Register

    path = directory / "register.sqlite"
    if not path.exists():
        raise ConfigurationError(f"{directory} holds no register: is it the ORDERSYNC_DOCUMENTS_DIR of the worker?")
    return Register(path)


@click.group("documents")
def command() -> None:
    """Orders that came as documents: list, explain, put, read."""


@command.command("list")
@documents_dir_option
@json_option
@click.option("--order", "order_id", help="Only those that this order came from.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many, newest first.")
def list_documents(documents_dir: Path, as_json: bool, order_id: str | None, limit: int) -> None:
    """Documents, newest first, with what became of each order in them."""
    records = register_in(documents_dir).documents(limit, order_id)
    if as_json:
        print_json(records)
        return
    table = Table("received at", "id", "source", "name", "type", "outcome", box=None, header_style="bold")
    for record in records:
        told = "; ".join(f"{part.outcome} {part.order_id or ''}".strip() for part in record.parts) or record.state
        one = record.received
        at = record.received_at.isoformat(timespec="seconds")
        table.add_row(at, one.id[:12], one.source, one.name, record.media, told)
    Console(highlight=False, soft_wrap=True).print(table)


@command.command("show")
@documents_dir_option
@json_option
@click.argument("document_id")
def show(documents_dir: Path, as_json: bool, document_id: str) -> None:
    """One document, by its id or the beginning of it: each step, each order, every reason."""
    record = register_in(documents_dir).record(document_id)
    if record is None:
        raise ConfigurationError(f"there is no one document whose id begins with {document_id}")
    if as_json:
        print_json(record)
        return
    one = record.received
    click.echo(f"{one.id}\n{one.name} from {one.source}, {one.size:,} bytes, {record.media}: {record.state}")
    if one.sender:
        click.echo(f"sent by {one.sender}: {one.subject}")
    for part in record.parts:
        click.echo(f"part {part.part}: {part.kind} {part.outcome} {part.order_id or ''}")
        for reason in part.reasons or []:
            click.echo(f"    {reason}")
    for at, step, detail in record.steps:
        click.echo(f"  {at}  {step}  {detail}")


@command.command("original")
@documents_dir_option
@click.argument("document_id")
@click.argument("target", type=click.Path(dir_okay=False, writable=True, path_type=Path))
def original(documents_dir: Path, document_id: str, target: Path) -> None:
    """Write a document to TARGET as it came; its content is checked against its id."""
    # Only here: the libraries of the documents are an extra.
    from producers.documents.originals import Originals

    register = register_in(documents_dir)
    record = register.record(document_id)
    if record is None:
        raise ConfigurationError(f"there is no one document whose id begins with {document_id}")
    content_id = register.content_of(record.received.id)
    target.write_bytes(Originals(documents_dir / "originals").get(content_id))
    click.echo(f"{target}: {record.received.name}, {record.received.size:,} bytes")


@command.command("put")
@sources_option
@click.option("--source", "name", required=True, help="Source that the document is put into.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def put(sources: Path | None, name: str, file: Path) -> None:
    """Hand FILE to the worker, as if it had come by that source."""
    # Only here: the libraries of the documents are an extra.
    from producers.documents.limits import Limits
    from producers.documents.upload import put as handed_over

    click.echo(handed_over(_source(sources, name), file.name, file.read_bytes(), Limits()))


@command.command("read")
@sources_option
@json_option
@click.option("--source", "name", help="Read it as a document of this source.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def read(sources: Path | None, as_json: bool, name: str | None, file: Path) -> None:
    """Show what would be read from FILE; nothing is kept and nothing is ordered."""
    # Only here: the libraries of the documents are an extra.
    from producers.documents.limits import Limits
    from producers.documents.reading import Reader
    from producers.documents.source import Source

    source = _source(sources, name) if name else Source(name="trial", kind="folder", path=file.parent, system="trial")
    readings = Reader(source, Limits()).read_any(file.read_bytes())
    if as_json:
        problems = [[str(reason) for reason in problem.reasons] for problem in readings.problems]
        told = {"media": readings.media, "orders": readings.orders, "answers": readings.answers}
        print_json(told | {"problems": problems})
    else:
        for order in readings.orders:
            _tell(order)
        for answer in readings.answers:
            _tell_answer(answer)
        for problem in readings.problems:
            for reason in problem.reasons:
                click.echo(f"refused: {reason}")
    if readings.problems:
        raise click.exceptions.Exit(1)


def _source(sources: Path | None, name: str) -> Source:
    # Only here: the libraries of the documents are an extra.
    from producers.documents.source import load

    if sources is None:
        raise ConfigurationError("name the file of sources with --sources or ORDERSYNC_SOURCES")
    known = load(sources)
    if name not in known:
        raise ConfigurationError(f"{sources} has no source {name}; there are {', '.join(known)}")
    return known[name]


def _tell_answer(answer: ReadAnswer) -> None:
    about = f" of {answer.order_number}" if answer.order_number else ""
    click.echo(f"{answer.kind.value} {answer.message_id}{about} at {answer.issued_at} ({answer.format})")
    click.echo(f"from: {', '.join(answer.senders)}")
    for line in answer.lines:
        said = [line.status or answer.status, line.quantity, line.unit_code, line.promised_date, line.reason]
        which = line.line_id or line.buyer_code or line.vendor_code
        click.echo(f"  line {which}: {', '.join(str(one) for one in said if one is not None)}")


def _tell(order: ReadOrder) -> None:
    kind = f"{order.kind.value} {order.number}" + (" (a test)" if order.is_test else "")
    click.echo(f"{kind} of {order.issue_date}, {order.currency or 'no currency'} ({order.format})")
    click.echo(f"buyer: {order.buyer.name or ''} {', '.join(order.buyer.codes)}".rstrip())
    for place, line in enumerate(order.lines):
        product = " / ".join([*line.codes, line.name or ""])
        price = "" if line.price is None else f" at {line.price:f}"
        amount = "" if line.amount is None else f" = {line.amount:f}"
        click.echo(f"  lines.{place}: {line.line_id}: {line.quantity} {line.unit_code} {product}{price}{amount}")
    for label, total in (("net", order.net_total), ("tax", order.tax_total), ("payable", order.payable)):
        if total is not None:
            click.echo(f"  {label}: {total:f}")
    for name, evidence in order.evidence.items():
        click.echo(f"    {name}: {evidence.text!r} at {evidence.place}, confidence {evidence.confidence:.2f}")
    for warning in order.warnings:
        click.echo(f"  warning: {warning}")
