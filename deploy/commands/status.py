"""`ordersync status`: what runs on this machine."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from deploy.commands.options import home_option, json_option, print_json


@click.command("status")
@home_option
@json_option
@click.pass_context
def command(ctx: click.Context, home: Path, as_json: bool) -> None:
    """Show the servers and workers of this machine; exit code 1 where none runs."""
    from deploy.demo.process_table import process_table
    from deploy.local.stack import EmbeddedStack
    from deploy.local.supervisor import Supervisor

    endpoints = EmbeddedStack.find(home)
    processes = Supervisor.read_status(home) if endpoints is not None else []
    if as_json:
        print_json(
            {
                "running": endpoints is not None,
                "bootstrap_servers": endpoints.bootstrap_servers if endpoints else None,
                "registry_url": endpoints.registry_url if endpoints else None,
                "processes": [process.model_dump(mode="json") for process in processes],
            }
        )
    elif endpoints is None:
        click.echo(f"nothing runs in {home}; `ordersync up` starts it")
    else:
        Console(highlight=False).print(process_table(endpoints, processes))
    ctx.exit(0 if endpoints is not None else 1)
