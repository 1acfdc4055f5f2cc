"""The command line: what it offers, what it answers, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploy import cli
from deploy.cli import VERBS, run
from deploy.commands.options import UNSECURED, security_option
from schemas import mapping
from schemas.topics import CATALOGUE

SOURCES = Path(mapping.__file__).parent / "sources"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS", "ORDERSYNC_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORDERSYNC_HOME", str(tmp_path / "home"))


def test_help_names_every_verb_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in VERBS)
    assert "Exit codes" in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_file_and_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: ordersync {verb}")


def test_help_imports_no_client_library() -> None:
    loaded = "import sys; from deploy.cli import run; run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert not any(
        name in done.stderr for name in ("'confluent_kafka'", "'psycopg'", "'pydantic'", "'faust'", "'rich'")
    )


def test_an_unknown_verb_is_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dance"]) == 2
    assert "dance" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "secured"), [((), True), (("--security",), True), (("--no-security",), False)])
def test_servers_are_secured_unless_told_otherwise_which_warns(options: tuple[str, ...], secured: bool) -> None:
    @click.command()
    @security_option
    def start(secured: bool) -> None:
        click.echo(secured)

    told = CliRunner().invoke(start, options)
    assert told.stdout == f"{secured}\n"
    assert told.stderr == ("" if secured else f"{UNSECURED}\n")


def test_an_error_is_a_message_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["worker", "dancer"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("ordersync: there is no worker 'dancer'; workers: capture")


def test_debug_shows_where_an_error_comes_from() -> None:
    with pytest.raises(cli.OrdersyncError):
        run(["--debug", "worker", "dancer"])


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ORDERSYNC_METRICS_PORT", "many")
    assert run(["worker", "backup"]) == 2
    assert "ORDERSYNC_METRICS_PORT" in capsys.readouterr().err


def test_without_a_stack_a_verb_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topics", "apply"]) == 2
    assert "ordersync up" in capsys.readouterr().err


def test_topics_list_as_json_is_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topics", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [topic["name"] for topic in listed] == list(CATALOGUE)


def test_schemas_check_agrees_with_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "check"]) == 0
    assert "agree with the models" in capsys.readouterr().out


@pytest.mark.parametrize("file", sorted(SOURCES.glob("*.toml")), ids=lambda path: path.stem)
def test_built_in_mappings_are_right(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mappings", "check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["system"] == file.stem


def test_a_malformed_mapping_is_refused_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "broken.toml"
    file.write_text('system = "crm"\ndescription = "x"\n[tables.a]\nname = "nodot"\nkey = ["id"]\n')
    assert run(["mappings", "check", str(file)]) == 2
    assert "broken.toml" in (err := capsys.readouterr().err) and "tables.a" in err


def test_status_and_down_where_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["running"] is False
    assert run(["down"]) == 0
    assert "nothing ran" in capsys.readouterr().out
