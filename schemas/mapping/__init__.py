"""Mapping files: how the tables of a source become canonical facts. Pure; knows no database.

`load` reads a file, `SourceMapping` holds it checked and compiled; the capture and the reconciliation both build
canonical facts with it, so that what was captured and what the source says now are made by the same code.
Source: I2 (standard data structures, central data-mapping documentation).
"""

from schemas.mapping.assembly import AggregateMapping, SourceMapping, replication_name
from schemas.mapping.file import built_in_or_path, load, parse
from schemas.mapping.images import Image, Row
from schemas.mapping.tables import TableMapping
from schemas.mapping.write_back import WriteBack

__all__ = [
    "AggregateMapping",
    "Image",
    "Row",
    "SourceMapping",
    "TableMapping",
    "WriteBack",
    "built_in_or_path",
    "load",
    "parse",
    "replication_name",
]
