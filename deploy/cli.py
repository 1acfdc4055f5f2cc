"""The command line `ordersync`: finds the verb, runs it, and turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from schemas.errors import OrdersyncError

VERBS: dict[str, str] = {
    "up": "Start Kafka, PostgreSQL, the registry and all workers on this machine.",
    "down": "Stop what `up` started; the data stays.",
    "status": "Show the servers and workers of this machine.",
    "demo": "Let a business trade, then prove that all systems agree.",
    "worker": "Run one worker, configured by the environment.",
    "topics": "Apply or list the topic catalogue.",
    "schemas": "Write or check the files generated from the models.",
    "capture": "Ask a running capture to read part of its source again.",
    "process": "Process delivered files, or a span of time again: for schedules.",
    "mappings": "Check a mapping file, also against its database.",
    "reconcile": "Compare source, state, ERP and ledger, order by order.",
    "dead-letters": "List, show, mend and replay refused events.",
    "improvement": "Show what goes wrong from week to week, and what to mend first.",
    "orders": "Explain an order: each version, what led to it and what followed.",
    "console": "Serve the web page for the people who work with orders; its users.",
    "documents": "Orders that came as documents: list, explain, put, read.",
    "review": "Orders of documents that wait for a person: show, accept, reject.",
    "ledger": "Explain journal entries; balances, periods, planning figures.",
    "rules": "List and explain the rules, and try changes of them against history.",
    "audit": "Who did what: list it, and verify that nobody changed it.",
    "approvals": "What waits for a second person: list, approve, reject; the policy.",
    "backup": "Policy and keys of the backup; list, verify, compare and restore it.",
    "webhooks": "Which clients hear what becomes of their orders, what is open for them, delivering again.",
    "vendors": "How each vendor is told, what is open for it, and delivering again.",
    "privacy": "Erase persons from what other departments read; the keys that seal them.",
    "security": "Show and check who may do what; change passwords and certificates.",
    "capacity": "Reckon what an installation of a given size needs.",
    "stack": "Download beforehand what `up` needs.",
}

EXIT_CODES = """\b
Exit codes:
  0    done; for demo and reconcile: every system agrees
  1    a fault; the message says what happened and what to do
  2    wrong command line, setting or mapping file
  3    demo and reconcile: systems differ; security drift, privacy verify: not as it should be
  4    process: done, and something was refused
  5    nothing done: a second person has to approve first
  130  interrupted with Ctrl-C"""


class Verbs(click.Group):
    """Imports the file of a verb only when it is used, so that `--help` and short verbs are quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of their use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """`deploy/commands/<verb>.py` holds `command`."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"deploy.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table above, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=Verbs,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="ordersync")
def ordersync(debug: bool) -> None:
    """Keeps every copy of a sales order the same, and proves it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and exit; the console script `ordersync` and `python -m deploy.cli` call it."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(run(given))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; gives its exit code. The only place that turns errors into exit codes."""
    try:
        result = ordersync.main(args=list(arguments), prog_name="ordersync", standalone_mode=False)
    except OrdersyncError as exc:
        if "--debug" in arguments or os.environ.get("ORDERSYNC_DEBUG"):
            raise
        click.echo(f"ordersync: {exc}", err=True)
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("ordersync: interrupted", err=True)
        return 130
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
