"""Files of keys: made for their owner only, and refused where others may read them or a line is no key."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from consumers.privacy.key_files import add_key, read_key, read_keys
from schemas.errors import ConfigurationError

ONE, TWO = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


def written(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.touch(mode)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def test_a_made_file_is_private_and_a_new_key_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "new" / "encryption.keys"
    assert add_key(path) == 1
    first = read_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600 and len(first[0]) == 32
    assert add_key(path) == 2
    assert read_keys(path)[1:] == first
    assert [one.name for one in path.parent.iterdir()] == ["encryption.keys"], "nothing half made is left"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601, 0o620, 0o666, 0o777])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_keys(written(tmp_path / "key", ONE, mode))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440])
def test_a_mounted_secret_is_taken(tmp_path: Path, mode: int) -> None:
    assert read_keys(written(tmp_path / "key", f"\n{TWO}\r\n{ONE}\n", mode)) == [bytes([2]) * 32, bytes([1]) * 32]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("not base64!", "line 1: a key is 32 bytes"),
        (f"{ONE}\n{ONE[:-5]}", "line 2"),
        (base64.b64encode(bytes(31)).decode(), "32 bytes, not 31"),
        (base64.b64encode(bytes(40_000)).decode(), "32 bytes, not 40000"),
        ("A" * 70_000, "more than 65,536 bytes"),
        (f"{ONE}\n{TWO}\n{ONE}", "a key twice"),
        ("ключ".encode("utf-16"), "cannot be read"),
        (b"\x00" * 32, "line 1"),
    ],
)
def test_what_is_no_key_is_named_and_never_shown(tmp_path: Path, content: str | bytes, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as told:
        read_keys(written(tmp_path / "key", content))
    assert ONE[:20] not in str(told.value)


def test_a_missing_file_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ordersync privacy key"):
        read_keys(tmp_path / "key")


def test_there_is_only_one_key_of_pseudonyms(tmp_path: Path) -> None:
    path = written(tmp_path / "key", ONE)
    assert read_key(path) == bytes([1]) * 32
    with pytest.raises(ConfigurationError, match="only one is possible"):
        read_key(written(path, f"{ONE}\n{TWO}"))
