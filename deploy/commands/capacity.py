"""`ordersync capacity`: what an installation of a given size needs."""

from __future__ import annotations

from dataclasses import asdict

import click

from deploy.capacity import capacity, names
from deploy.commands.options import json_option, print_json


@click.command("capacity")
@click.option("--orders-per-second", type=int, required=True, help="Steady load of order events, 1 to 1,000,000.")
@json_option
def command(orders_per_second: int, as_json: bool) -> None:
    """Reckon partitions, brokers, workers and database servers from what the benchmarks measured.

    deploy/guide/capacity.md has the arithmetic, and says what to replace at which size.
    """
    reckoned = asdict(capacity(orders_per_second))
    if as_json:
        print_json(reckoned)
        return
    for name in names():
        click.echo(f"{name.replace('_', ' '):26}{reckoned[name]:>26,}")
