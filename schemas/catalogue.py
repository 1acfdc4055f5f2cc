"""Writes and checks the committed `.avsc` files and the data catalogue; both are generated from the models."""

from __future__ import annotations

import json
from pathlib import Path

from schemas.attributes import CanonicalModel
from schemas.avro import avro_schema, shapes_of
from schemas.errors import SchemaDrift
from schemas.topics import CATALOGUE

AVSC_DIRECTORY = Path(__file__).parent / "avsc"
CATALOGUE_FILE = Path(__file__).parent / "CATALOGUE.md"


def generated_files() -> dict[Path, str]:
    """Every generated file with the content that it should have."""
    files = {
        AVSC_DIRECTORY / f"{topic.name}.avsc": json.dumps(avro_schema(topic.model), indent=2, ensure_ascii=False) + "\n"
        for topic in CATALOGUE.values()
    }
    return files | {CATALOGUE_FILE: data_catalogue()}


def write() -> list[Path]:
    """Write what differs and remove what no topic has any more; gives the changed paths."""
    changed = []
    wanted = generated_files()
    for path, content in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            changed.append(path)
    for path in AVSC_DIRECTORY.glob("*.avsc"):
        if path not in wanted:
            path.unlink()
            changed.append(path)
    return changed


def check() -> None:
    """Compare the committed files with the models.

    Raises:
        SchemaDrift: a file is missing, stale or superfluous.
    """
    wanted = generated_files()
    stale = [
        path.name
        for path, content in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    stale += [path.name for path in AVSC_DIRECTORY.glob("*.avsc") if path not in wanted]
    if stale:
        raise SchemaDrift(
            f"generated files differ from the models: {', '.join(sorted(stale))}; run `ordersync schemas write` and "
            "commit them"
        )


def data_catalogue() -> str:
    """The attributes of every topic as Markdown: definition, owner, classification, unit. Source: I2, S8."""
    lines = [
        "# Data catalogue",
        "",
        "Generated from the models by `ordersync schemas write`; do not edit.",
        "",
        "| Topic | Key | Holds | Kept | Written by | Read by |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| [`{topic.name}`](#{_anchor(topic.model)}) | {topic.key} | {topic.purpose} | {topic.retention.value} | "
        f"{', '.join(topic.writers)} | {', '.join(topic.readers) or '-'} |"
        for topic in CATALOGUE.values()
    ]
    seen: dict[type[CanonicalModel], None] = {}
    for topic in CATALOGUE.values():
        _collect(topic.model, seen)
    for model in seen:
        lines += ["", f"## {model.__name__}", "", (model.__doc__ or "").strip().splitlines()[0], ""]
        lines += [
            "| Attribute | Type | Definition | Owner | Classification | Unit |",
            "|---|---|---|---|---|---|",
        ]
        lines += _rows(model)
    return "\n".join(lines) + "\n"


def _collect(model: type[CanonicalModel], seen: dict[type[CanonicalModel], None]) -> None:
    if model in seen:
        return
    seen[model] = None
    for shape in shapes_of(model):
        if shape.record is not None:
            _collect(shape.record, seen)


def _rows(model: type[CanonicalModel]) -> list[str]:
    rows = []
    for shape in shapes_of(model):
        info = model.model_fields[shape.name]
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        name = (
            shape.leaf.__name__
            if shape.decimal is None
            else f"decimal({shape.decimal.precision}, {shape.decimal.scale})"
        )
        kind = f"list of {name}" if shape.is_list else name
        rows.append(
            f"| `{shape.name}` | {kind}{', optional' if shape.is_optional else ''} | {info.description} | "
            f"{extra.get('owner', model.owner)} | {extra.get('classification', model.classification)} | "
            f"{extra.get('unit', '')} |"
        )
    return rows


def _anchor(model: type[CanonicalModel]) -> str:
    return model.__name__.lower()
