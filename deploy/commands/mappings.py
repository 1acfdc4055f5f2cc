"""`ordersync mappings`: checks a mapping file before a capture uses it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from deploy.commands.options import json_option, print_json
from schemas.mapping import SourceMapping, load


@click.group("mappings")
def command() -> None:
    """Check a mapping file, also against its database."""


@command.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--database", metavar="CONNINFO", help="Also compare tables and columns with this PostgreSQL database.")
@json_option
def check(file: Path, database: str | None, as_json: bool) -> None:
    """Check FILE's form, expressions and topics; with --database also that its tables and columns exist."""
    mapping = load(file)
    if database is not None:
        _require_tables(mapping, database)
    topics = [aggregate.topic.name for aggregate in mapping.aggregates]
    tables = [f"{table.schema}.{table.name}" for table in mapping.tables.values() if table.name is not None]
    if as_json:
        print_json({"system": mapping.system, "topics": topics, "tables": tables, "database": database is not None})
        return
    where = " and agrees with the database" if database is not None else ""
    click.echo(f"{file} is right{where}: {mapping.system}, {len(tables)} tables -> {', '.join(topics)}")


def _require_tables(mapping: SourceMapping, conninfo: str) -> None:
    # Only here: without --database the check needs no database library.
    from producers.cdc.changes import TableName
    from producers.cdc.postgres.catalog import read_tables, require_mapped
    from producers.cdc.postgres.session import connect

    needed = {
        TableName(str(table.schema), str(table.name)): mapping.columns_of(alias)
        for alias, table in mapping.tables.items()
        if not table.is_virtual
    }
    with closing(connect(conninfo, application_name="ordersync mappings check")) as connection:
        require_mapped(read_tables(connection), needed, connection.info.server_version)
