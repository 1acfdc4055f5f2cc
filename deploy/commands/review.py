"""`ordersync review`: orders of documents that wait for a person, and what that person decides."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.documents import documents_dir_option, register_in
from deploy.commands.options import json_option, print_json
from deploy.review_fields import Field, evidence_name, header_fields, line_fields, other_evidence
from deploy.reviewing import Decision, pictures_of, review_in
from deploy.reviewing import accept as take
from deploy.reviewing import reject as refuse
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from producers.documents.crops.bounded import Crops
    from producers.documents.doubts import Doubt
    from producers.documents.order import Evidence
    from producers.documents.register import Review


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
@click.option("--crop", "name", metavar="FIELD", help="Write the picture of where this field was read, to --output.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="PNG file of --crop; without it a folder of all pictures."
)
@click.argument("review_id")
def show(documents_dir: Path, as_json: bool, name: str | None, output: Path | None, review_id: str) -> None:
    """What was read, where in the document, how sure it is, and what each doubt is about."""
    register = register_in(documents_dir)
    review = review_in(register, review_id)
    if name is not None and output is None:
        raise ConfigurationError("--crop needs the file that the picture is written to: -o FILE.png")
    if output is not None:
        _write_pictures(pictures_of(documents_dir, register, review), review, name, output)
    elif as_json:
        print_json(asdict(review) | {"fields": _all_fields(review)})
    else:
        _tell(review)


def _write_pictures(crops: Crops, review: Review, name: str | None, output: Path) -> None:
    if name is None:
        output.mkdir(parents=True, exist_ok=True)
        for one, picture in crops.pictures.items():
            (output / f"{one}.png").write_bytes(picture)
        click.echo(f"{output}: {len(crops.pictures)} pictures")
    else:
        source = evidence_name(review, name)
        if source is None or source not in crops.pictures:
            known = ", ".join(crops.pictures) or "none"
            why = f": {crops.problem}" if crops.problem else ""
            raise ConfigurationError(f"there is no picture of {name}{why}; there are {known}")
        output.write_bytes(crops.pictures[source])
        click.echo(f"{output}: {review.read.evidence[source].text!r} at {review.read.evidence[source].place}")
    if crops.problem:
        click.echo(crops.problem, err=True)


def _all_fields(review: Review) -> list[Field]:
    return [*header_fields(review), *(field for line in line_fields(review) for field in line.fields)]


def _tell(review: Review) -> None:
    read = review.read
    _say(f"{review.id}: {read.kind.value} {read.number} of {read.issue_date}, {read.currency}, from {review.source}")
    _say(f"document {review.document}, {review.state} since {review.since}")
    _say(f"buyer: {read.buyer.name or ''} {', '.join(read.buyer.codes)}".rstrip())
    for field in header_fields(review):
        _tell_field(field)
    for line in line_fields(review):
        _say(f"  lines.{line.place}: {line.told} = {line.amount}")
        for field in line.fields:
            _tell_field(field)
    for name, evidence in other_evidence(review).items():
        _say(f"  {name}: {_found(evidence)}")
    for doubt in review.doubts:
        _say(f"? {doubt.rule} ({doubt.where}): {doubt.message}")
        _tell_candidates("", doubt)


def _tell_field(field: Field) -> None:
    if field.read is None and field.evidence is None:
        return
    found = "" if field.evidence is None else f": {_found(field.evidence)}"
    place = f" ({field.place})" if field.evidence is None and field.place else ""
    _say(f"  {field.name} {'-' if field.read is None else field.read}{found}{place}")
    _tell_candidates("may be ", field)


def _tell_candidates(lead: str, known: Field | Doubt) -> None:
    for target, title, likeness in known.candidates:
        _say(f"    {lead}{target}  {title}  {likeness:.2f}")
    for target, title, likeness in known.by_meaning:
        _say(f"    {lead}{target}  {title}  {likeness:.2f} by meaning")


def _say(text: str) -> None:
    """A line without what a document may hold to command a terminal."""
    click.echo("".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text))


def _found(evidence: Evidence) -> str:
    box = evidence.box
    size = "" if box is None else f", {box.right - box.left:.0f} x {box.bottom - box.top:.0f} points"
    return f"{evidence.text!r} at {evidence.place}{size}, confidence {evidence.confidence:.2f}"


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
