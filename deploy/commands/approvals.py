"""`ordersync approvals`: what waits for a second person, who decides it, and what the policy says."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from deploy.audit.policy import ApprovalPolicy, Kind
from deploy.commands.options import actor_of, cluster_of, home_option, json_option, print_json
from schemas.errors import ApprovalNeeded, ConfigurationError

if TYPE_CHECKING:
    from deploy.audit.approvals import Request
    from deploy.audit.desk import ApprovalDesk

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FILES = click.Choice([Kind.MAPPING_CHANGE.value, Kind.RULE_CHANGE.value])

reason_option = click.option("--reason", required=True, help="Why; kept in audit.events.")
actor_option = click.option("--actor", help="Who, as they say; by default this account at this machine.")


@click.group("approvals")
def command() -> None:
    """What waits for a second person: list, approve, reject; the policy.

    A repair, an edited replay or a promotion asks by itself: do it, and where the policy wants a second person it ends
    with exit code 5 and the id that it was asked for under. Do the same again once it is approved.
    """


@command.command("policy")
@home_option
@json_option
def policy(home: Path, as_json: bool) -> None:
    """The policy in force: for which deeds a second person must approve, and who may ask and approve."""
    found = ApprovalPolicy.of(home)
    if as_json:
        deeds = {str(kind): found.terms(kind).model_dump(mode="json") for kind in Kind}
        print_json(found.model_dump(mode="json") | {"deeds": deeds})
        return
    table = Table("deed", "second person", "may ask", "may approve", box=None, header_style="bold")
    for kind in Kind:
        terms = found.terms(kind)
        names = [", ".join(sorted(roles)) or "-" for roles in (terms.ask, terms.approve)]
        table.add_row(kind, "yes" if terms.two_people else "no", *names)
    Console(highlight=False).print(table)
    known = ", ".join(sorted(found.identified_by))
    click.echo(f"{found.told}; a request serves for {found.expires_hours:g} h; people are known by {known}")


@command.command("list")
@home_option
@json_option
@click.option("--all", "everything", is_flag=True, help="Also those that were decided, used or are too old.")
def list_requests(home: Path, as_json: bool, everything: bool) -> None:
    """What waits for a second person, or is approved and not done yet; newest first."""
    found = [one for one in _desk(home).requests() if everything or one.state in ("waits", "approved")]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        at = one.requested_at.isoformat(timespec="seconds")
        decided = f" by {one.decider}: {one.decision}" if one.decider else ""
        click.echo(f"{one.request_id} {one.kind} {one.state}{decided}")
        click.echo(f"  asked at {at} by {one.requester}: {one.reason}")
        for line in one.told:
            click.echo(f"    {line}")


@command.command("request")
@home_option
@reason_option
@actor_option
@click.argument("kind", type=_FILES)
@click.argument("file", type=_FILE)
def request(home: Path, reason: str, actor: str | None, kind: str, file: Path) -> None:
    """Ask for a change of mappings or rules that FILE is; prints the id to approve. Other deeds ask by themselves."""
    found = ApprovalPolicy.of(home)
    person = found.person(actor_of(actor))
    asked = Kind(kind)
    click.echo(_desk(home, found).request_file(asked, _digest(file), person, reason, file.name))


@command.command("approve")
@home_option
@reason_option
@actor_option
@click.argument("request_id")
def approve(home: Path, reason: str, actor: str | None, request_id: str) -> None:
    """Let it be done, once, as it was asked for. Nobody approves what they asked for themselves."""
    _decide(home, request_id, reason, actor, is_approved=True)


@command.command("reject")
@home_option
@reason_option
@actor_option
@click.argument("request_id")
def reject(home: Path, reason: str, actor: str | None, request_id: str) -> None:
    """Refuse it; it may be asked for again."""
    _decide(home, request_id, reason, actor, is_approved=False)


@command.command("check")
@home_option
@click.argument("kind", type=_FILES)
@click.argument("file", type=_FILE)
def check(home: Path, kind: str, file: Path) -> None:
    """Hold FILE against the approvals before it is rolled out: exit code 5 unless exactly this content is approved."""
    found, asked = ApprovalPolicy.of(home), Kind(kind)
    if not found.terms(asked).two_people:
        click.echo(f"{found.told} wants no second person for {asked}")
        return
    approval = _desk(home, found).approval_of_file(asked, _digest(file))
    if approval is None:
        raise ApprovalNeeded(
            f"nobody has approved {file} as it is: `ordersync approvals request {asked} {file} --reason ...`",
            request_id="",
        )
    click.echo(f"{file.name} is approved by {approval.decider}: {approval.decision} ({approval.request_id})")


def _decide(home: Path, request_id: str, reason: str, actor: str | None, *, is_approved: bool) -> None:
    found = ApprovalPolicy.of(home)
    decided: Request = _desk(home, found).decide(request_id, found.person(actor_of(actor)), reason, approve=is_approved)
    click.echo(f"{decided.kind} of {decided.requester} is {decided.state}")


def _desk(home: Path, policy: ApprovalPolicy | None = None) -> ApprovalDesk:
    # Only here: it needs the Kafka client.
    from deploy.audit.desk import ApprovalDesk

    return ApprovalDesk(cluster_of(home), policy or ApprovalPolicy.of(home))


def _digest(file: Path) -> str:
    try:
        return sha256(file.read_bytes()).hexdigest()
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}") from exc
