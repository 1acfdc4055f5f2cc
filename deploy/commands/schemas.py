"""`ordersync schemas`: the Avro schemas and the data catalogue, generated from the models."""

from __future__ import annotations

from pathlib import Path

import click

from schemas import catalogue


@click.group("schemas")
def command() -> None:
    """Write or check the files generated from the models."""


@command.command("write")
def write() -> None:
    """Write the .avsc files and the data catalogue."""
    changed = catalogue.write()
    for path in changed:
        click.echo(_shown(path))
    click.echo(f"{len(changed)} of {len(catalogue.generated_files())} files changed", err=True)


@command.command("check")
def check() -> None:
    """Fail where a committed file differs from the models."""
    catalogue.check()
    click.echo(f"{len(catalogue.generated_files())} files agree with the models")


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
