"""Options that several verbs of the backup share, and what they lead to."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from consumers.backup.policy import CopyPolicy, Policy
from consumers.backup.vault.copies import Copies, open_copy
from schemas.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)


def of_this_machine(name: str) -> Callable[[], Path]:
    """The default of an option: a file of the backup that `ordersync up` made (see `provisioning`)."""
    return lambda: Path(os.environ.get("ORDERSYNC_HOME", ".ordersync")) / "backup" / name


def local_file(flag: str, name: str, envvar: str, help_text: str) -> Callable[[F], F]:
    """An option for a file, by default that of the backup that `ordersync up` made; `--x` is given as `x_path`."""
    return click.option(
        flag,
        f"{flag.removeprefix('--')}_path",
        type=FILE,
        default=of_this_machine(name),
        show_default="that of `ordersync up`",
        envvar=envvar,
        show_envvar=True,
        help=help_text,
    )


policy_option = local_file("--policy", "policy.toml", "ORDERSYNC_POLICY", "The backup policy.")


def copies_of(policy: Policy, name: str | None = None) -> Copies:
    """Every copy of the policy, or the one with that name.

    Raises:
        ConfigurationError: there is none with that name.
    """
    places: list[CopyPolicy] = [one for one in policy.copies.places if name in (None, one.name)]
    if not places:
        known = ", ".join(one.name for one in policy.copies.places)
        raise ConfigurationError(f"the policy has no copy {name!r}; there are {known}")
    return Copies([open_copy(place) for place in places], min(policy.copies.minimum, len(places)))


def read_file(path: Path, what: str) -> bytes:
    """A file that a person named. Raises `ConfigurationError`."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"{what} {path} cannot be read: {exc.strerror}") from exc
