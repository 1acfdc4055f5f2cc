"""The servers and workers of this machine as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from deploy.local.endpoints import Endpoints
from deploy.local.watch import ProcessState, ProcessStatus


def process_table(endpoints: Endpoints, processes: Sequence[ProcessStatus]) -> Group:
    """Where to connect, and how each process is."""
    database = endpoints.postgres
    places = Table(box=None, show_header=False, pad_edge=False)
    places.add_row("Kafka", endpoints.bootstrap_servers)
    places.add_row("registry", endpoints.registry_url)
    places.add_row("PostgreSQL", f"{database.host}:{database.port} as {database.user}")
    places.add_row("secrets", str(endpoints.security_directory or Text("none: --no-security lets anybody in", "red")))
    table = Table("process", "state", "pid", "restarts", "since", "problem", box=None, pad_edge=False)
    for process in processes:
        style = "green" if process.state is ProcessState.RUNNING else "red"
        table.add_row(
            process.name,
            Text(process.state.value, style=style),
            str(process.pid or ""),
            str(process.restarts),
            process.since_at.isoformat(timespec="seconds"),
            process.problem or "",
        )
    return Group(places, "", table)
