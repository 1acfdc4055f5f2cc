"""`ordersync up`: the embedded stack and all workers, in the foreground or detached."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from deploy.commands.options import home_option, security_option
from deploy.console import provisioning as console_pages
from deploy.demo.landscape import WORKERS, Landscape
from deploy.demo.process_table import process_table
from deploy.local.progress import ConsoleProgress
from deploy.local.stack import EmbeddedStack
from deploy.local.supervisor import Supervisor
from schemas.errors import Fatal

_LOOK_SECONDS = 1.0
_DETACHED_SECONDS = 300.0


@click.command("up")
@home_option
@click.option("--detach", is_flag=True, help="Return when everything runs; `ordersync down` stops it.")
@security_option
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Form of the workers' logs.")
def command(home: Path, detach: bool, secured: bool, log_format: str) -> None:
    """Start Kafka, PostgreSQL, the registry and all workers on this machine, until Ctrl-C.

    Data, logs and ports stay in --home. A second `up` finds the first one.
    """
    console = Console(stderr=True, highlight=False)
    endpoints = EmbeddedStack.find(home)
    if endpoints is not None:
        console.print(f"it runs already in {home}:")
        console.print(process_table(endpoints, Supervisor.read_status(home)))
    elif detach:
        _detach(home, secured, log_format, console)
    else:
        _serve(home, secured, log_format, console)


def _serve(home: Path, secured: bool, log_format: str, console: Console) -> None:
    with Landscape(home, log_format=log_format, secured=secured) as landscape:
        landscape.start(ConsoleProgress(console))
        if landscape.owned and console_pages.is_installed():
            told = console_pages.announcement(home)
            landscape.run_beside("console", console_pages.stack_environment(landscape.home, landscape.endpoints))
            console.print(told, soft_wrap=True)
        ended = threading.Event()
        shown = threading.Thread(target=_show, args=(landscape, console, ended), daemon=True)
        shown.start()
        try:
            landscape.serve()
        finally:
            ended.set()
            shown.join()
    console.print(f"stopped; the data stays in {home}")


def _show(landscape: Landscape, console: Console, ended: threading.Event) -> None:
    if not console.is_terminal:
        console.print(process_table(landscape.endpoints, landscape.status()))
        console.print("everything was started; Ctrl-C stops it")
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not ended.wait(_LOOK_SECONDS):
            live.update(process_table(landscape.endpoints, landscape.status()), refresh=True)


def _detach(home: Path, secured: bool, log_format: str, console: Console) -> None:
    home.mkdir(parents=True, exist_ok=True)
    # Made before, so that the password is told to this person and not to a log.
    told = console_pages.announcement(home) if console_pages.is_installed() else None
    log_path = home / "logs" / "up.log"
    log_path.parent.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "deploy.cli", "up", "--home", str(home.absolute()), "--log-format", log_format]
    argv.append("--security" if secured else "--no-security")
    with log_path.open("ab") as log:
        launcher = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + _DETACHED_SECONDS
    while not _all_started(home):
        if launcher.poll() is not None or time.monotonic() > deadline:
            launcher.kill()
            last = "\n".join(log_path.read_text(errors="replace").splitlines()[-12:])
            raise Fatal(f"it did not start; the last lines of {log_path}:\n{last}")
        time.sleep(_LOOK_SECONDS / 4)
    endpoints = EmbeddedStack.find(home)
    assert endpoints is not None
    console.print(process_table(endpoints, Supervisor.read_status(home)))
    if told is not None:
        console.print(told, soft_wrap=True)
    console.print(f"it runs as process {launcher.pid}; `ordersync down --home {home}` stops it")


def _all_started(home: Path) -> bool:
    names = {process.name for process in Supervisor.read_status(home)}
    return set(WORKERS) <= names and EmbeddedStack.find(home) is not None
