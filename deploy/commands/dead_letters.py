"""`ordersync dead-letters`: the refused events with every reason, and how they are mended and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from deploy.commands.options import (
    Cluster,
    actor_of,
    cluster_of,
    home_option,
    json_option,
    print_json,
    unmasked_options,
    viewing_reason,
)
from schemas.errors import ConfigurationError
from schemas.models import Rejection

if TYPE_CHECKING:
    from deploy.mending import MendedEvent
    from schemas.codec import TopicCodec

F = TypeVar("F", bound=Callable[..., Any])


@click.group("dead-letters")
def command() -> None:
    """List, show, mend and replay refused events."""


def deed_options(function: F) -> F:
    """`--reason`, `--actor`, `--dry-run`: what a deed needs that is audited."""
    function = click.option("--dry-run", is_flag=True, help="Check it and say what would be written.")(function)
    function = click.option("--actor", default=None, help="Who does it; by default this account at this machine.")(
        function
    )
    return click.option("--reason", required=True, help="Why; kept in audit.events and in the event's headers.")(
        function
    )


@command.command("list")
@home_option
@json_option
@click.option("--rule", help="Only those that violate this rule.")
@click.option("--order", "order_id", help="Only those about this order.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most so many, newest first.")
def list_letters(home: Path, as_json: bool, rule: str | None, order_id: str | None, limit: int) -> None:
    """Refused events, newest first; what tells of persons is masked."""
    # Only here: it needs the rules' libraries.
    from deploy.order_masking import masked_rejection

    letters = [
        letter
        for letter in map(masked_rejection, _letters(cluster_of(home)))
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
@unmasked_options
@click.argument("rejection_id")
def show(home: Path, rejection_id: str, unmasked: bool, reason: str | None) -> None:
    """One refused event as JSON: reasons, origin, what was replayed of it, and the event.

    What tells of persons is masked, and an event that cannot be read is not shown. --unmasked shows all of it, and the
    original to the byte; the audit has who saw it.
    """
    # Only here: they need the Kafka client.
    from deploy.order_masking import masked_deed, masked_rejection
    from deploy.topic_reading import read_topic
    from deploy.viewing import Viewing, tell
    from producers.sightings import SEEING
    from schemas.models import AuditEvent
    from schemas.topics import AUDIT

    why, cluster = viewing_reason(unmasked, reason), cluster_of(home)
    letter = _letter(cluster, rejection_id)
    deeds = [
        deed
        for deed in read_topic(cluster, AUDIT, AuditEvent)
        if deed.reference == rejection_id and deed.action not in SEEING
    ]
    if why is None:
        letter, deeds = masked_rejection(letter), list(map(masked_deed, deeds))
    else:
        tell(Viewing(actor_of(None), letter.order_id or "unknown", why, rejection_id), cluster)
    told: dict[str, object] = {"replays": [deed.model_dump(mode="json") for deed in deeds]}
    told["event"] = _event(letter, cluster, is_masked=why is None)
    told["original"] = _place(letter) if why is None else _place(letter) | _bytes(letter)
    print_json(_summary(letter) | told)


@command.command("edit")
@home_option
@json_option
@deed_options
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="As in order.order_lines.0.quantity=3.")
@click.option("--file", "source", type=click.File("rb"), help="The mended event as JSON; - reads standard input.")
@click.argument("rejection_id")
def edit(
    home: Path,
    as_json: bool,
    reason: str,
    actor: str | None,
    dry_run: bool,
    settings: tuple[str, ...],
    source: Any,
    rejection_id: str,
) -> None:
    """Mend a refused event and replay it, in an editor or by --set or --file.

    The event keeps its place: its topic, its key, and its position in the source's log. Where a newer image of the
    order was accepted since, that one wins.
    """

    def mend(letter: Rejection, codec: TopicCodec[Any]) -> MendedEvent:
        from deploy.mending import mended, readable, with_values
        from deploy.viewing import Viewing, tell

        if source is not None:
            return mended(letter, _parsed(source.read()), codec)
        document = readable(letter, codec)
        if document is None:
            raise ConfigurationError(f"the bytes of {rejection_id} are no event: give the whole event with --file")
        if settings:
            return mended(letter, with_values(document, settings), codec)
        cluster = cluster_of(home)
        tell(Viewing(actor_of(actor), letter.order_id or "unknown", reason, rejection_id), cluster)
        text = click.edit(json.dumps(document, indent=2, ensure_ascii=False), extension=".json")
        return mended(letter, document if text is None else _parsed(text), codec)

    _put_back(home, rejection_id, mend, _Deed(reason, actor, dry_run, as_json))


@command.command("replay")
@home_option
@json_option
@deed_options
@click.option(
    "--shops",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    envvar="ORDERSYNC_SHOPS",
    show_envvar=True,
    help="The API's file of shops, for a webhook that no mapping could read.",
)
@click.argument("rejection_id")
def replay(
    home: Path, as_json: bool, reason: str, actor: str | None, dry_run: bool, shops: Path | None, rejection_id: str
) -> None:
    """Replay a refused event as it came, for example when its customer or product is known now.

    A shop's webhook that no mapping could read is mapped anew, by the mapping as it is now.
    """

    def keep(letter: Rejection, _codec: TopicCodec[Any]) -> MendedEvent:
        from deploy.mending import unchanged

        return unchanged(letter)

    _put_back(home, rejection_id, keep, _Deed(reason, actor, dry_run, as_json, shops))


@dataclass(frozen=True, slots=True)
class _Deed:
    """Who puts an event back and why, and how that is told."""

    reason: str
    actor: str | None
    is_dry_run: bool
    as_json: bool
    shops: Path | None = None


def _put_back(
    home: Path, rejection_id: str, make: Callable[[Rejection, TopicCodec[Any]], MendedEvent], deed: _Deed
) -> None:
    # Only here: they need the Kafka client.
    from deploy.audit.desk import clearance_of
    from deploy.mending import SHOPS, check_replayable
    from deploy.replaying import Replay, perform
    from deploy.shop_mending import mapped_again
    from schemas.codec import TopicCodec
    from schemas.registry import SchemaRegistry
    from schemas.topics import CATALOGUE

    cluster = cluster_of(home)
    letter = _letter(cluster, rejection_id)
    with closing(SchemaRegistry(cluster.registry)) as registry:
        if letter.stage == SHOPS and deed.shops is not None:
            event = mapped_again(letter, deed.shops, registry)
        else:
            check_replayable(letter)
            topic = letter.original.topic
            event = make(letter, TopicCodec(topic, CATALOGUE[topic].model, registry))
    actor = actor_of(deed.actor)
    planned = Replay(letter, event, actor, deed.reason)
    done = None if deed.is_dry_run else perform(planned, cluster, clearance_of(home, cluster, actor))
    outcome = "not replayed (dry run)" if deed.is_dry_run else "replayed" if done else "was replayed before"
    if deed.as_json:
        print_json({"rejection_id": rejection_id, "outcome": outcome, "audit": asdict(planned.deed())})
        return
    for change in event.changes:
        click.echo(f"  {change}")
    click.echo(f"{letter.order_id or rejection_id} {outcome} on {planned.topic}")


def _parsed(text: str | bytes) -> Any:
    try:
        # Money must not pass through a float.
        return json.loads(text, parse_float=str)
    except ValueError as exc:
        raise ConfigurationError(f"the mended event is not JSON: {exc}") from exc


def _letter(cluster: Cluster, rejection_id: str) -> Rejection:
    for letter in _letters(cluster):
        if letter.rejection_id == rejection_id:
            return letter
    raise ConfigurationError(f"there is no dead letter {rejection_id}; `ordersync dead-letters list` shows their ids")


def _letters(cluster: Cluster) -> list[Rejection]:
    # Only here: they need the Kafka client.
    from deploy.topic_reading import read_topic
    from schemas.topics import REJECTED

    # A crash may repeat a letter; its id stays the same.
    return list({letter.rejection_id: letter for letter in read_topic(cluster, REJECTED, Rejection)}.values())


def _summary(letter: Rejection) -> dict[str, object]:
    return {
        "rejection_id": letter.rejection_id,
        "rejected_at": letter.rejected_at.isoformat(),
        "stage": letter.stage,
        "order_id": letter.order_id,
        "violations": [violation.model_dump() for violation in letter.violations],
        "origin": f"{letter.original.topic}/{letter.original.partition}/{letter.original.offset}",
        "code_version": letter.code_version,
        "rules_version": letter.rules_version,
    }


def _event(letter: Rejection, cluster: Cluster, *, is_masked: bool) -> dict[str, Any] | None:
    """The event as JSON; None where its bytes are none of its topic."""
    from deploy.mending import readable
    from schemas.codec import TopicCodec
    from schemas.masking import masked_document
    from schemas.registry import SchemaRegistry
    from schemas.topics import CATALOGUE

    topic = CATALOGUE.get(letter.original.topic)
    if topic is None:
        return None
    with closing(SchemaRegistry(cluster.registry)) as registry:
        document = readable(letter, TopicCodec(topic.name, topic.model, registry))
    return masked_document(topic.model, document) if is_masked and document is not None else document


def _place(letter: Rejection) -> dict[str, object]:
    original = letter.original
    return {
        "topic": original.topic,
        "partition": original.partition,
        "offset": original.offset,
        "timestamp_at": original.timestamp_at.isoformat(),
    }


def _bytes(letter: Rejection) -> dict[str, object]:
    original = letter.original
    return {
        "key_hex": None if original.key is None else original.key.hex(),
        "value_hex": None if original.value is None else original.value.hex(),
        "headers": [
            {"key": header.key, "value_hex": None if header.value is None else header.value.hex()}
            for header in original.headers
        ],
    }
