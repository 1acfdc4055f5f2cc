"""The reference of the settings: complete, and what the classes say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from deploy import settings_reference
from deploy.settings_reference import Setting, check_reference, settings_classes, settings_of
from deploy.worker_kinds import worker_kinds
from schemas.errors import SchemaDrift
from schemas.settings import DatabaseSettings, WorkerSettings


class Example(WorkerSettings):
    """Every shape of a setting."""

    word: str = Field(description="Needed | text")
    place: Path | None = Field(None, description="A path")
    quick: bool = Field(True, description="A switch")
    many: list[str] = Field([], description="A list")
    store: DatabaseSettings | None = Field(None, description="A group")


def test_each_shape_of_a_setting_is_told() -> None:
    told = {one.name: one for one in settings_of(Example)}
    assert told["ORDERSYNC_WORD"] == Setting("ORDERSYNC_WORD", "text", "**needed**", "Needed | text")
    assert told["ORDERSYNC_PLACE"][1:3] == ("path", "-")
    assert told["ORDERSYNC_QUICK"][1:3] == ("true or false", "`true`")
    assert told["ORDERSYNC_MANY"][1:3] == ("list (JSON)", "none")
    assert told["ORDERSYNC_STORE__PORT"][1:3] == ("integer", "`5432`")
    assert told["ORDERSYNC_KAFKA__PASSWORD"][1:3] == ("secret", "-")


def test_every_kind_of_worker_is_described_and_every_setting_has_a_meaning() -> None:
    assert set(settings_classes()) == set(worker_kinds())
    told = {one for model in settings_classes().values() for one in settings_of(model)}
    assert sorted(one.name for one in told if not one.meaning) == []


def test_the_committed_reference_is_what_the_classes_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_reference()
    stale = tmp_path / "configuration.md"
    stale.write_text(settings_reference.settings_reference().replace("`5432`", "`5433`"))
    monkeypatch.setattr(settings_reference, "REFERENCE_FILE", stale)
    with pytest.raises(SchemaDrift, match=r"deploy\.settings_reference"):
        check_reference()
