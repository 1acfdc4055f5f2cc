"""What verbs that read the backup need: options for them, and the verified catalogue that they lead to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from securesystemslib.signer import Signer

from consumers.backup.policy import Policy
from consumers.backup.restore.reader import ArchiveReader
from consumers.backup.vault.audit import Deed, record
from consumers.backup.vault.catalogue import Catalogue
from consumers.backup.vault.client import Client, Trusted
from consumers.backup.vault.copies import Copies
from consumers.backup.vault.encryption import read_identity
from consumers.backup.vault.trust import RESTORER, keys_of, read_signer
from deploy.backup.options import copies_of, local_file, of_this_machine, policy_option, read_file
from schemas.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Access:
    """Where a person reads the backup from, and what is trusted."""

    policy_path: Path
    root_path: Path
    trusted_dir: Path
    copy: str | None = None

    def policy(self) -> Policy:
        """The policy."""
        return Policy.read(self.policy_path)

    def copies(self) -> Copies:
        """The copy that was named, or all."""
        return copies_of(self.policy(), self.copy)

    def root(self) -> bytes:
        """What the officers gave out."""
        return read_file(self.root_path, "the root")

    def load(self) -> Backup:
        """The verified catalogue of now.

        Raises:
            BackupRefused: it is not what was signed.
            Transient: the copies are away.
        """
        copies, catalogue = self.copies(), Catalogue()
        trusted = Client(copies, self.root(), self.trusted_dir / "all").load(catalogue)
        return Backup(copies, catalogue, trusted)


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified backup."""

    copies: Copies
    catalogue: Catalogue
    trusted: Trusted

    def reader(self, identity_path: Path) -> ArchiveReader:
        """Its records, for the holder of an identity."""
        return ArchiveReader(self.copies, self.catalogue, read_identity(identity_path))

    def record(self, key_path: Path, action: str, subject: str, roles: tuple[str, ...] = (RESTORER,)) -> None:
        """Tell the audit log who did what.

        Raises:
            ConfigurationError: the officers did not give this key such a role.
        """
        signer = self.require_role(key_path, roles)
        record(self.copies, signer, Deed(action, subject, datetime.now(UTC)), self.trusted.roots)

    def require_role(self, key_path: Path, roles: tuple[str, ...] = (RESTORER,)) -> Signer:
        """The key in a file, of one of these roles. Raises as `record`."""
        signer = read_signer(key_path)
        role, _ = keys_of(self.trusted.root).get(signer.public_key.keyid, ("", None))
        if role not in roles:
            raise ConfigurationError(f"{key_path} is no {' or '.join(roles)}'s key: the officers' root says otherwise")
        return signer


def access_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--policy`, `--root`, `--trusted-dir` and `--copy`, given to the verb as one `access`."""

    @wraps(function)
    def with_access(
        *, policy_path: Path, root_path: Path, trusted_dir: Path, copy: str | None, **others: object
    ) -> object:
        return function(access=Access(policy_path, root_path, trusted_dir, copy), **others)

    trusted_option = click.option(
        "--trusted-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=of_this_machine("trusted"),
        show_default="beside the policy of `ordersync up`",
        help="Remembers the newest state seen, so that an older one is refused.",
    )
    root_option = local_file("--root", "root.json", "ORDERSYNC_ROOT", "What the officers signed, as they gave it out.")
    copy_option = click.option("--copy", help="Read this copy only.")
    return policy_option(root_option(trusted_option(copy_option(with_access))))


identity_option = local_file("--identity", "restorer.age", "ORDERSYNC_IDENTITY", "Age identity of a recipient.")
key_option = local_file("--key", "restorer.pem", "ORDERSYNC_RESTORER_KEY", "Signing key of a restorer, for the audit.")


class Moment(click.ParamType):
    """A point in time with its offset from UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """ISO 8601; a time without an offset is ambiguous and refused."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-21T08:30:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no offset from UTC; end it with Z or +01:00", param, ctx)
        return moment
