"""`ordersync backup`: policy, keys and roots, and what the copies hold."""

from __future__ import annotations

import click

from schemas.errors import ConfigurationError

try:
    from deploy.backup import (
        drill_commands,
        key_commands,
        policy_commands,
        promote_commands,
        reading_commands,
        restore_commands,
        retention_commands,
    )
except ModuleNotFoundError as exc:
    raise ConfigurationError(f"{exc}: the backup's libraries are missing; install ordersync[backup]") from exc


@click.group("backup")
def command() -> None:
    """Policy and keys of the backup; list, verify, compare and restore it."""


for part in (
    policy_commands.policy,
    key_commands.key,
    key_commands.identity,
    key_commands.root,
    reading_commands.list_,
    reading_commands.verify,
    reading_commands.mend,
    reading_commands.diff,
    reading_commands.order,
    reading_commands.audit,
    restore_commands.restore,
    restore_commands.restore_database,
    restore_commands.join,
    restore_commands.rewrap,
    promote_commands.promote,
    retention_commands.retention,
    retention_commands.hold,
    drill_commands.drill,
    drill_commands.status,
):
    command.add_command(part)
