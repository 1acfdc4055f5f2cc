"""`ordersync dead-letters`: the refused events, with every reason and the original bytes."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.options import cluster_of, home_option, json_option, print_json
from schemas.errors import ConfigurationError
from schemas.models import Rejection


@click.group("dead-letters")
def command() -> None:
    """List and show refused events."""


@command.command("list")
@home_option
@json_option
@click.option("--rule", help="Only those that violate this rule.")
@click.option("--order", "order_id", help="Only those about this order.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most so many, newest first.")
def list_letters(home: Path, as_json: bool, rule: str | None, order_id: str | None, limit: int) -> None:
    """Refused events, newest first."""
    letters = [
        letter
        for letter in _letters(home)
        if (rule is None or any(violation.rule == rule for violation in letter.violations))
        and (order_id is None or letter.order_id == order_id)
    ]
    shown = sorted(letters, key=lambda letter: letter.rejected_at, reverse=True)[:limit]
    if as_json:
        print_json([_summary(letter) for letter in shown])
        return
    table = Table("rejected at", "id", "stage", "order", "rule", "why", box=None, header_style="bold")
    for letter in shown:
        for violation in letter.violations:
            at = letter.rejected_at.isoformat(timespec="seconds")
            table.add_row(at, letter.rejection_id, letter.stage, letter.order_id, violation.rule, violation.message)
    Console(highlight=False, soft_wrap=True).print(table)
    click.echo(f"{len(shown)} of {len(letters)} dead letters", err=True)


@command.command("show")
@home_option
@click.argument("rejection_id")
def show(home: Path, rejection_id: str) -> None:
    """One refused event as JSON: reasons, origin, and the original key and value in hexadecimal."""
    for letter in _letters(home):
        if letter.rejection_id == rejection_id:
            print_json(_summary(letter) | {"original": _original(letter)})
            return
    raise ConfigurationError(f"there is no dead letter {rejection_id}; `ordersync dead-letters list` shows their ids")


def _letters(home: Path) -> list[Rejection]:
    # Only here: they need the Kafka client.
    from deploy.topic_reading import read_topic
    from schemas.topics import REJECTED

    # A crash may repeat a letter; its id stays the same.
    return list({letter.rejection_id: letter for letter in read_topic(cluster_of(home), REJECTED, Rejection)}.values())


def _summary(letter: Rejection) -> dict[str, object]:
    return {
        "rejection_id": letter.rejection_id,
        "rejected_at": letter.rejected_at.isoformat(),
        "stage": letter.stage,
        "order_id": letter.order_id,
        "violations": [violation.model_dump() for violation in letter.violations],
        "origin": f"{letter.original.topic}/{letter.original.partition}/{letter.original.offset}",
        "code_version": letter.code_version,
    }


def _original(letter: Rejection) -> dict[str, object]:
    original = letter.original
    return {
        "topic": original.topic,
        "partition": original.partition,
        "offset": original.offset,
        "timestamp_at": original.timestamp_at.isoformat(),
        "key_hex": None if original.key is None else original.key.hex(),
        "value_hex": None if original.value is None else original.value.hex(),
        "headers": [
            {"key": header.key, "value_hex": None if header.value is None else header.value.hex()}
            for header in original.headers
        ],
    }
