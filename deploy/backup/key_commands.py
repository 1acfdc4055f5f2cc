"""`ordersync backup key|identity|root`: the keys of people and processes, and what the officers sign."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from pyrage.x25519 import Identity

from consumers.backup.policy import Policy
from consumers.backup.vault.audit import ROOT_PUBLISHED, Deed, record
from consumers.backup.vault.layout import root_path
from consumers.backup.vault.roots import Roots
from consumers.backup.vault.trust import (
    OFFICERS,
    RootPlan,
    default_expiry,
    draft_root,
    new_signer,
    read_public,
    read_root,
    read_signer,
    require_signed,
    write_secret,
    write_signer,
)
from deploy.backup.options import FILE, copies_of, policy_option, read_file
from schemas.errors import ConfigurationError


@click.command("key")
@click.argument("path", type=FILE)
def key(path: Path) -> None:
    """Make a signing key: the secret to PATH, the public half to PATH.pub. One for each person and process."""
    signer = new_signer()
    write_signer(signer, path)
    click.echo(f"{path} (keep it secret), {path}.pub (give it to the officers): key {signer.public_key.keyid}")


@click.command("identity")
@click.argument("path", type=FILE)
def identity(path: Path) -> None:
    """Make an age identity for a restorer or escrow officer; prints the public half for the policy's recipients."""
    made = Identity.generate()
    write_secret(path, f"# public key: {made.to_public()}\n{made}\n".encode())
    click.echo(str(made.to_public()))


@click.group("root")
def root() -> None:
    """What the officers sign: who creates, who keeps, who restores."""


@root.command("draft")
@click.argument("path", type=FILE)
@click.option("--officer", "officers", type=FILE, multiple=True, required=True, help="Public key; twice.")
@click.option("--creator", type=FILE, required=True, help="Public key.")
@click.option("--keeper", type=FILE, required=True, help="Public key.")
@click.option("--restorer", "restorers", type=FILE, multiple=True, required=True, help="Public key.")
@click.option("--promoter", "promoters", type=FILE, multiple=True, help="Public key.")
@click.option(
    "--version", type=click.IntRange(min=1), default=1, show_default=True, help="One more than the last root."
)
def draft(
    path: Path,
    officers: tuple[Path, ...],
    creator: Path,
    keeper: Path,
    restorers: tuple[Path, ...],
    promoters: tuple[Path, ...],
    version: int,
) -> None:
    """Write an unsigned root to PATH."""
    plan = RootPlan(
        officers=[read_public(one) for one in officers],
        creator=read_public(creator),
        keeper=read_public(keeper),
        restorers=[read_public(one) for one in restorers],
        promoters=[read_public(one) for one in promoters],
        expires_at=default_expiry(datetime.now(UTC)),
        version=version,
    )
    if path.exists():
        raise ConfigurationError(f"{path} exists; a root is never overwritten")
    path.write_bytes(draft_root(plan).to_bytes())
    click.echo(f"{path}: {OFFICERS} officers sign it with `backup root sign {path} --key ...`")


@root.command("sign")
@click.argument("path", type=FILE)
@click.option("--key", "key_path", type=FILE, required=True, help="Secret key of an officer.")
def sign(path: Path, key_path: Path) -> None:
    """Add an officer's signature to the root in PATH."""
    metadata = read_root(read_file(path, "the root"))
    signer = read_signer(key_path)
    metadata.sign(signer, append=True)
    path.write_bytes(metadata.to_bytes())
    click.echo(f"{path}: {len(metadata.signatures)} signatures")


@root.command("publish")
@click.argument("path", type=FILE)
@click.option("--key", "key_path", type=FILE, help="Signing key of an officer; needed for every root but the first.")
@policy_option
def publish(path: Path, key_path: Path | None, policy_path: Path) -> None:
    """Put the signed root in PATH into every copy of the policy, and tell the audit log of it.

    From that entry on, keys that the root no longer names write nothing into the log.
    """
    content = read_file(path, "the root")
    metadata = read_root(content)
    require_signed(metadata)
    version = metadata.signed.version
    signer = None if key_path is None else read_signer(key_path)
    if signer is None and version > 1:
        raise ConfigurationError(
            f"root {version} comes into force by an entry in the audit log; add --key of an officer"
        )
    if signer is not None and signer.public_key.keyid not in metadata.signed.roles["root"].keyids:
        raise ConfigurationError(f"{key_path} is no officer's key: {path} names other officers")
    copies = copies_of(Policy.read(policy_path))
    for copy in copies.copies:
        copy.keep(root_path(version), content)
        click.echo(f"{copy.name}: root {version}")
    if signer is not None:
        record(copies, signer, Deed(ROOT_PUBLISHED, f"root {version}", datetime.now(UTC)), Roots(copies, content))
