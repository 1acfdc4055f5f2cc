"""`ordersync worker`: one deployable worker in this process."""

from __future__ import annotations

import click


@click.command("worker")
@click.argument("name")
@click.option("--until-done", is_flag=True, help="Do what is on the topics now, commit it and exit: for cron jobs.")
def command(name: str, until_done: bool) -> None:
    """Run the worker NAME until SIGTERM or Ctrl-C.

    NAME is capture (or capture-ANYTHING, with a mapping file of its own), api, streams, erp, warehouse, backup,
    archive, keeper, reconcile, lag or figures. All settings come from the environment (ORDERSYNC_...). The worker
    serves /metrics, /health/live and /health/ready on ORDERSYNC_METRICS_PORT.

    With --until-done (streams and the sinks) it exits with 0 when all is committed that was there when it started,
    with 1 when it was stopped before.
    """
    from deploy.worker import run_worker

    run_worker(name, only_until_done=until_done)
