"""`ordersync down`: stops what `ordersync up` started."""

from __future__ import annotations

from pathlib import Path

import click

from deploy.commands.options import home_option, json_option, print_json


@click.command("down")
@home_option
@json_option
def command(home: Path, as_json: bool) -> None:
    """Stop what `up` started; the data stays."""
    from deploy.local.stack import EmbeddedStack

    stopped = EmbeddedStack.shut_down(home)
    if as_json:
        print_json({"stopped": stopped})
        return
    click.echo(f"stopped; the data stays in {home}" if stopped else f"nothing ran in {home}")
