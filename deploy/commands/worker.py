"""`ordersync worker`: one deployable worker in this process."""

from __future__ import annotations

import click


class _Workers(click.Command):
    """Its help lists every worker, which is asked for only then."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line for each kind."""
        # Only here: no worker needs the libraries of all others.
        from deploy.worker_kinds import worker_kinds

        with formatter.section("Workers"):
            formatter.write_dl([(name, kind.purpose) for name, kind in worker_kinds().items()])


@click.command("worker", cls=_Workers)
@click.argument("name")
@click.option("--until-done", is_flag=True, help="Do what is on the topics now, commit it and exit: for cron jobs.")
def command(name: str, until_done: bool) -> None:
    """Run the worker NAME until SIGTERM or Ctrl-C.

    NAME is one of the workers below, or capture-ANYTHING: a capture with a mapping file of its own. All settings come
    from the environment (ORDERSYNC_...). The worker serves /metrics, /health/live and /health/ready on
    ORDERSYNC_METRICS_PORT.

    With --until-done (streams and the sinks) it exits with 0 when all is committed that was there when it started,
    with 1 when it was stopped before.
    """
    from deploy.worker import run_worker

    run_worker(name, only_until_done=until_done)
