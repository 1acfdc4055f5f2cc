"""`ordersync console`: the web page for the people who work with orders, and the users of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.commands.options import home_option, json_option, print_json

if TYPE_CHECKING:
    from deploy.console.people.users import Users


@click.group("console", invoke_without_command=True)
@home_option
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8090]")
@click.option("--rebuild-index", is_flag=True, help="Read all topics anew instead of going on where the index ends.")
@click.pass_context
def command(ctx: click.Context, home: Path, host: str | None, port: int | None, rebuild_index: bool) -> None:
    """Serve the console until SIGTERM or Ctrl-C.

    Settings come from the environment as for `ordersync worker console`; without ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS
    it shows the stack that runs in --home.
    """
    ctx.obj = home
    if ctx.invoked_subcommand is not None:
        return
    # Only here: they lead to every library that there is.
    from deploy.console.provisioning import environment_of
    from deploy.worker import run_worker

    os.environ.update(environment_of(home))
    given = {"HOST": host, "PORT": port, "REBUILD_INDEX": "true" if rebuild_index else None}
    os.environ.update({f"ORDERSYNC_{name}": str(value) for name, value in given.items() if value is not None})
    run_worker("console")


@command.group("user")
def user() -> None:
    """Add, list and remove the people who may sign in."""


@user.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "finance", "admin"]),
    default="viewer",
    show_default=True,
    help="What the person may do; deploy/guide/console.md has the table.",
)
@click.pass_context
def add(ctx: click.Context, name: str, role: str) -> None:
    """Let NAME sign in, or give NAME a new role and password; prints a password that must be changed first."""
    from deploy.console.people.roles import Role

    password = _users(ctx).add(name, Role(role))
    click.echo(f"{name} is {role}; password for the first sign-in: {password}")


@user.command("list")
@json_option
@click.pass_context
def list_users(ctx: click.Context, as_json: bool) -> None:
    """Who may sign in."""
    users = _users(ctx).all()
    if as_json:
        print_json([one.model_dump(mode="json", exclude={"password"}) for one in users])
        return
    for one in users:
        click.echo(
            f"{one.name:24} {one.role.value:10} {'has to change the password' if one.must_change else ''}".rstrip()
        )


@user.command("remove")
@click.argument("name")
@click.pass_context
def remove(ctx: click.Context, name: str) -> None:
    """Take NAME out; the sessions of NAME end at once."""
    _users(ctx).remove(name)
    click.echo(f"{name} cannot sign in any more")


def _users(ctx: click.Context) -> Users:
    from deploy.console.people.users import Users
    from deploy.console.provisioning import users_path

    return Users(users_path(ctx.obj))
