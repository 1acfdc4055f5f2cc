"""The version after this one: the same code, and one optional attribute of the order more. Also what its capture does.

As a program (`python -m tests.integration.next_release ENDPOINTS apply|capture|read FIRST END`) it runs with the
schemas of that version.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemas
from deploy.local.endpoints import Endpoints
from deploy.topics import apply_topics
from schemas.registry import SchemaRegistry
from schemas.topics import ORDER_STATE
from tests.integration.conftest import LAYOUT
from tests.integration.streams_harness import Scene, life

ATTRIBUTE = "project_reference"
_AFTER = '    note: str | None = attribute("Free text", default=None)\n'
_ADDED = f'    {ATTRIBUTE}: str | None = attribute("The buyer\'s project", default=None)\n'
_ROOT = Path(schemas.__file__).parents[1]


def next_release(directory: Path) -> Mapping[str, str]:
    """Make the next version below `directory`; gives the environment in which a process is of that version.

    What is not in the copy, which is everything but `schemas`, is the same code in both.
    """
    copy = directory / "schemas"
    shutil.copytree(_ROOT / "schemas", copy, ignore=shutil.ignore_patterns("__pycache__"))
    model = copy / "models" / "order.py"
    before = model.read_text()
    assert before.count(_AFTER) == 1, "an attribute of the order after which another one is added"
    model.write_text(before.replace(_AFTER, _AFTER + _ADDED))
    return {"PYTHONPATH": os.pathsep.join([str(directory), str(_ROOT)])}


def capture(scene: Scene, number: int) -> None:
    """An order's whole life with the attribute, as this version's capture writes it."""
    told: list[Any] = []
    for event in life(number):
        value = getattr(event, "order", None)
        if value is not None:
            changed = type(value).model_validate(value.model_dump() | {ATTRIBUTE: reference(number)})
            event = event.model_copy(update={"order": changed})
        told.append(event)
    scene.capture(*told)


def reference(number: int) -> str:
    """What an order says in the attribute."""
    return f"project {number}"


def references(scene: Scene, names: set[str]) -> dict[str, str | None]:
    """The attribute in the latest state of each order."""
    states = scene.subscribe(ORDER_STATE)
    states.read_to_end()
    found = {key: getattr(state.order, ATTRIBUTE) for key, state in states.among(names)}
    states.close()
    return found


def main() -> None:
    """Register the schemas, capture orders, or tell what their states say, as the arguments want."""
    endpoints = Endpoints.read(Path(sys.argv[1]))
    assert endpoints is not None
    numbers = range(int(sys.argv[3]), int(sys.argv[4]))
    scene = Scene(endpoints, Path(), "", endpoints.registry_url)
    if sys.argv[2] == "apply":
        registry = SchemaRegistry(endpoints.registry())
        apply_topics(endpoints.kafka(), registry, LAYOUT)
        registry.close()
    elif sys.argv[2] == "capture":
        for number in numbers:
            capture(scene, number)
    else:
        sys.stdout.write(json.dumps(references(scene, {f"crm:{number}" for number in numbers})))
    scene.close()


if __name__ == "__main__":
    main()
