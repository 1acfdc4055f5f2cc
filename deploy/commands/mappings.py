"""`ordersync mappings`: checks a mapping file before a capture uses it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from deploy.commands.options import json_option, print_json
from schemas.errors import ConfigurationError
from schemas.mapping import SourceMapping, load, replication_name


@click.group("mappings")
def command() -> None:
    """Check a mapping file, also against its database."""


@command.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--dsn",
    "--database",
    "database",
    metavar="CONNINFO",
    help="Also compare it with this PostgreSQL database: tables, columns, types, identities, rights, publication.",
)
@click.option("--publication", help="Publication of the capture.  [default: ordersync_SYSTEM]")
@json_option
def check(file: Path, database: str | None, publication: str | None, as_json: bool) -> None:
    """Check FILE's form, expressions and topics; with --dsn also that the live database fits it."""
    mapping = load(file)
    notes = [] if database is None else _require_fitting(mapping, file, database, publication)
    topics = list(dict.fromkeys(aggregate.topic.name for aggregate in mapping.aggregates))
    tables = [f"{table.schema}.{table.name}" for table in mapping.tables.values() if table.name is not None]
    if as_json:
        said = {"system": mapping.system, "topics": topics, "tables": tables, "database": database is not None}
        print_json(said | {"notes": notes})
        return
    where = " and agrees with the database" if database is not None else ""
    click.echo(f"{file} is right{where}: {mapping.system}, {len(tables)} tables -> {', '.join(topics)}")
    for note in notes:
        click.echo(f"  {note}")


def _require_fitting(mapping: SourceMapping, file: Path, conninfo: str, publication: str | None) -> list[str]:
    # Only here: without --dsn the check needs no database library.
    from producers.cdc.postgres.mapping_check import check_mapping
    from producers.cdc.postgres.session import connect

    name = publication or replication_name(mapping.system)
    with closing(connect(conninfo, application_name="ordersync mappings check")) as connection:
        report = check_mapping(connection, mapping, file, name)
    if report.problems:
        listed = "\n  ".join([*report.problems, *report.notes])
        raise ConfigurationError(f"the database does not fit {file}:\n  {listed}")
    return report.notes
