"""Options that several verbs share, and the cluster that they lead to."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from schemas.attributes import VendorId
from schemas.audit_chain import Actor, Identity
from schemas.errors import ConfigurationError
from schemas.settings import KafkaSettings, RegistrySettings, WorkerSettings

DISAGREEMENT = 3
"""Exit code of `demo` and `reconcile` where systems differ."""

UNSECURED = (
    "warning: --no-security lets every program of this machine read and write every topic and schema, in plain text; "
    "keep no real data there, and leave it out to be secured again"
)

F = TypeVar("F", bound=Callable[..., Any])


def home_option(function: F) -> F:
    """`--home`: the directory of the embedded stack."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(".ordersync"),
        show_default=True,
        envvar="ORDERSYNC_HOME",
        show_envvar=True,
        help="Directory of the servers' data, logs and ports.",
    )(function)


def security_option(function: F) -> F:
    """`--no-security`: let the servers that are started talk in plain and ask nobody who speaks; warns of it."""
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.local.stack import SECURED

    return click.option(
        "--security/--no-security",
        "secured",
        default=SECURED,
        show_default=True,
        callback=_warned,
        help="Encrypted connections and a user with the least rights for each worker; without, all is plain.",
    )(function)


def _warned(ctx: click.Context, parameter: click.Parameter, secured: bool) -> bool:
    if not secured and not ctx.resilient_parsing:
        click.echo(UNSECURED, err=True)
    return secured


def vendors_option(function: F) -> F:
    """`--vendors`: who reads a topic of its own."""
    return click.option(
        "--vendors",
        "vendors_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="ORDERSYNC_VENDORS",
        help="The vendors' file: who reads a topic of its own.  [default: $ORDERSYNC_VENDORS]",
    )(function)


def vendors_with_topics(vendors_file: Path | None) -> tuple[VendorId, ...] | None:
    """Who reads a topic of its own by that file; None without one. Raises ConfigurationError where it is wrong."""
    # Only here: what is not about vendors needs no profiles.
    from consumers.vendors.profiles import VendorProfiles

    return None if vendors_file is None else VendorProfiles.load(vendors_file).with_topics()


def json_option(function: F) -> F:
    """`--json`: data for machines on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(function)


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    click.echo(orjson.dumps(value, default=str).decode())


def actor_of(stated: str | None) -> Actor:
    """Who runs a verb: whom they say they are, which nothing proves, else the operating system's account."""
    if stated:
        return Actor(stated)
    return Actor(f"{getpass.getuser()}@{socket.gethostname()}", Identity.SYSTEM_USER)


def unmasked_options(function: F) -> F:
    """`--unmasked`, `--reason`: what tells of persons is shown to who says why, and the audit has it first."""
    function = click.option("--reason", default=None, help="Why; needed with --unmasked, and kept in audit.events.")(
        function
    )
    return click.option("--unmasked", is_flag=True, help="With names, addresses and what else tells of persons.")(
        function
    )


def viewing_reason(unmasked: bool, reason: str | None) -> str | None:
    """Why somebody wants to see it; None where it stays masked. Raises ConfigurationError where no reason is given."""
    if not unmasked:
        return None
    if not reason or not reason.strip():
        raise ConfigurationError("say why you have to see it: --unmasked --reason '...'; the audit keeps it")
    return reason


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster and registry that a verb talks to."""

    kafka: KafkaSettings
    registry: RegistrySettings


def cluster_of(home: Path) -> Cluster:
    """What the environment names, otherwise the stack that runs in `home`.

    Raises:
        ConfigurationError: neither is there.
    """
    if "ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS" in os.environ:
        settings = WorkerSettings.load()
        return Cluster(settings.kafka, settings.registry)
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.local.stack import EmbeddedStack

    endpoints = EmbeddedStack.find(home)
    if endpoints is None:
        raise ConfigurationError(
            f"no stack runs in {home}: start one with `ordersync up`, or name a cluster with "
            "ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS and ORDERSYNC_REGISTRY__URL"
        )
    return Cluster(endpoints.kafka(), endpoints.registry())
