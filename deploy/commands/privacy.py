"""`ordersync privacy`: the keys of persons in what other departments read; erasure by destroying them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deploy.commands.options import DISAGREEMENT, actor_of, cluster_of, home_option, json_option, print_json
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from consumers.privacy.settings import PrivacyKeyFiles
    from deploy.privacy.deeds import Author
    from deploy.privacy.register import Register

F = TypeVar("F", bound=Callable[..., Any])
_PSEUDONYM_DIGITS = 64


def _deed_options(function: F) -> F:
    function = click.option("--actor", help="Who does it; the operating system's user unless named.")(function)
    return click.option("--reason", required=True, help="Why; kept in audit.events for ever: name nobody in it.")(
        function
    )


@click.group("privacy")
def command() -> None:
    """Erase persons from what other departments read, by destroying the keys that seal them.

    SUBJECT is customer:ID (the order's buyer_customer_party_id), staff:NAME (who sold, entered or approved), order:ID
    where an order has no customer, or a pseudonym of 64 hexadecimal digits.
    """


@command.command("key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def key(file: Path) -> None:
    """Make FILE with a new secret key, or put a new key before those that it has."""
    from consumers.privacy.key_files import add_key

    count = add_key(file)
    told = "a new file" if count == 1 else f"{count} keys, the new one first; restart the publisher, then `rewrap`"
    click.echo(f"{file}: {told}")


@command.command("list")
@home_option
@json_option
@click.option("--erased", is_flag=True, help="Only those who were erased.")
def list_subjects(home: Path, as_json: bool, erased: bool) -> None:
    """Everybody who has a key or was erased, by pseudonym."""
    from deploy.privacy.register import reading

    with reading(cluster_of(home)) as register:
        found = sorted(one for one in register.book.subjects() if not erased or register.book.is_erased(one))
        rows = [_standing(register, one) for one in found]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(_told(row))
    click.echo(f"{len(rows)} subjects", err=True)


@command.command("show")
@home_option
@json_option
@click.argument("subject")
def show(home: Path, as_json: bool, subject: str) -> None:
    """Whether SUBJECT has keys or was erased, and when."""
    from deploy.privacy.register import reading

    name = _pseudonym(home, subject)
    with reading(cluster_of(home)) as register:
        row = _standing(register, name)
    if as_json:
        print_json(row)
    else:
        click.echo(_told(row))


@command.command("erase")
@home_option
@json_option
@_deed_options
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
def erase_subjects(home: Path, as_json: bool, reason: str, actor: str | None, subjects: tuple[str, ...]) -> None:
    """Destroy every key of each SUBJECT: what was sealed by them opens nowhere any more. There is no way back."""
    from deploy.privacy.deeds import erase
    from deploy.privacy.register import changing

    names = [_pseudonym(home, one) for one in subjects]
    with changing(cluster_of(home)) as register:
        outcomes = erase(register, names, _author(home, reason, actor))
    if as_json:
        print_json([asdict(one) for one in outcomes])
        return
    for one in outcomes:
        click.echo(f"{one.subject} {f'erased, {one.destroyed} keys destroyed' if one.is_new else 'was erased before'}")


@command.command("readmit")
@home_option
@_deed_options
@click.argument("subject")
def readmit_subject(home: Path, reason: str, actor: str | None, subject: str) -> None:
    """Seal SUBJECT again, by new keys, from its orders' next versions on. What was erased stays erased."""
    from deploy.privacy.deeds import readmit
    from deploy.privacy.register import changing

    name = _pseudonym(home, subject)
    with changing(cluster_of(home)) as register:
        if not readmit(register, name, _author(home, reason, actor)):
            raise ConfigurationError(f"{name} is not erased; nothing was changed")
    click.echo(f"{name} readmitted")


@command.command("rewrap")
@home_option
@_deed_options
def rewrap_keys(home: Path, reason: str, actor: str | None) -> None:
    """Wrap every key by the first key-encryption key of the file; then the older lines can be taken out of it."""
    from consumers.privacy.key_files import read_keys
    from consumers.privacy.sealing import KeyRing
    from deploy.privacy.deeds import rewrap
    from deploy.privacy.register import changing

    ring = KeyRing(read_keys(_files(home).encryption_key_file))
    with changing(cluster_of(home)) as register:
        count = rewrap(register, ring, _author(home, reason, actor))
    click.echo(f"{count} keys wrapped anew by key-encryption key {ring.first}")


@command.command("verify")
@home_option
@json_option
@click.option("--repair", is_flag=True, help="Erase again whom the audit tells of as erased.")
@click.option("--reason", default="the erasure was lost, and is done again", help="Why; kept in audit.events.")
@click.option("--actor", help="Who does it; the operating system's user unless named.")
@click.pass_context
def verify(ctx: click.Context, home: Path, as_json: bool, repair: bool, reason: str, actor: str | None) -> None:
    """Hold the erasures against the audit: after topics were restored, exit code 3 where one does not hold."""
    from deploy.privacy.deeds import destroy_again, erase, missing_erasures
    from deploy.privacy.register import changing, reading

    with (changing if repair else reading)(cluster_of(home)) as register:
        lost = missing_erasures(register)
        void = sorted({one.subject for one in register.book.void_keys()})
        if repair and (lost or void):
            author = _author(home, reason, actor)
            if lost:
                erase(register, lost, author, lost)
            destroy_again(register, author)
    if as_json:
        print_json({"lost": list(lost), "void": void, "repaired": repair})
    else:
        for one in lost:
            click.echo(f"{one} was erased, and the erasure is not there any more")
        for one in void:
            click.echo(f"{one} was erased, and a destroyed key is there again")
        if not lost and not void:
            click.echo("every erasure that the audit tells of holds")
    ctx.exit(DISAGREEMENT if (lost or void) and not repair else 0)


def _standing(register: Register, name: str) -> dict[str, Any]:
    book, erasure = register.book, register.book.erasure(name)
    keys = book.good_keys(name)
    return {
        "subject": name,
        "is_erased": book.is_erased(name),
        "times_erased": book.generation(name),
        "decided_at": erasure.decided_at if erasure is not None else None,
        "audit_id": erasure.audit_id if erasure is not None else None,
        "keys": len(keys),
        "wrapped_by": sorted({one.wrapped_by for one in keys}),
        "void_keys": len(book.all_keys(name)) - len(keys),
    }


def _told(row: dict[str, Any]) -> str:
    told = f"{row['subject']}  {row['keys']} keys"
    if row["decided_at"] is not None:
        told += f", {'erased' if row['is_erased'] else 'readmitted'} {row['decided_at']:%Y-%m-%d %H:%M:%S} UTC"
    return told + (f", {row['void_keys']} void keys are still there" if row["void_keys"] else "")


def _files(home: Path) -> PrivacyKeyFiles:
    """Those that the environment names, otherwise those of the stack in `home`."""
    import os

    from consumers.privacy.settings import PrivacyKeyFiles
    from deploy.security.files import SecurityFiles
    from schemas.settings import WorkerSettings

    class _Settings(WorkerSettings):
        privacy: PrivacyKeyFiles

    if any(name.startswith("ORDERSYNC_PRIVACY__") for name in os.environ):
        return _Settings.load().privacy
    files = SecurityFiles(home.absolute() / "security")
    return PrivacyKeyFiles(encryption_key_file=files.encryption_keys, pseudonym_key_file=files.pseudonym_key)


def _pseudonym(home: Path, subject: str) -> str:
    from consumers.privacy.key_files import read_key
    from consumers.privacy.sealing import pseudonym

    if len(subject) == _PSEUDONYM_DIGITS and set(subject) <= set("0123456789abcdef"):
        return subject
    kind, _, name = subject.partition(":")
    if kind not in ("customer", "staff", "order") or not name:
        raise ConfigurationError(
            f"{subject!r} is no subject: write customer:ID, staff:NAME, order:ID or a pseudonym of 64 digits"
        )
    return pseudonym(read_key(_files(home).pseudonym_key_file), subject)


def _author(home: Path, reason: str, actor: str | None) -> Author:
    from deploy.audit.desk import clearance_of
    from deploy.privacy.deeds import Author

    if not reason.strip():
        raise ConfigurationError("say why: --reason '...'; the audit keeps it")
    who = actor_of(actor)
    return Author(who, reason, clearance_of(home, cluster_of(home), who))
