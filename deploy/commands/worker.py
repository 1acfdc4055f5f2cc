"""`ordersync worker`: one deployable worker in this process."""

from __future__ import annotations

import click


@click.command("worker")
@click.argument("name")
def command(name: str) -> None:
    """Run the worker NAME until SIGTERM or Ctrl-C.

    NAME is capture (or capture-ANYTHING, with a mapping file of its own), streams, erp, warehouse or backup. All
    settings come from the environment (ORDERSYNC_...). The worker serves /metrics, /health/live and /health/ready on
    ORDERSYNC_METRICS_PORT.
    """
    from deploy.worker import run_worker

    run_worker(name)
