"""Only what reads a source knows PostgreSQL: mapping, assembly and events could serve another database as they are."""

from __future__ import annotations

import ast
from pathlib import Path

import producers.cdc
from schemas import mapping

CAPTURE = Path(producers.cdc.__file__).parent
KNOWS_POSTGRES = {"capture", "care", "slot_watch", "snapshot", "source"}
"""What connects, watches the slot and answers what PostgreSQL does; another source has its own of these."""


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def knows(path: Path) -> bool:
    return any(name.startswith(("producers.cdc.postgres", "psycopg")) for name in imports(path))


def test_only_what_reads_the_source_imports_what_is_postgresqls() -> None:
    modules = sorted(CAPTURE.glob("*.py"))
    assert len(modules) > 20
    assert {path.stem for path in modules if knows(path)} == KNOWS_POSTGRES


def test_mappings_name_no_database() -> None:
    for path in sorted(Path(mapping.__file__).parent.glob("*.py")):
        assert not knows(path)
        assert not any(name.startswith("producers") for name in imports(path))
        assert "postgres" not in path.read_text(encoding="utf-8").lower(), path
