"""Files of secrets are refused where somebody else may touch them, whoever reads them, and are never shown."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from consumers.privacy.key_files import read_keys
from consumers.vendors.webhooks.signing import read_secrets as webhook_secrets
from producers.api.partners import read_secrets as partner_secrets
from producers.api.shops import plain_secrets as shop_secrets
from schemas.errors import ConfigurationError
from schemas.secret_files import base64_key, secret_lines

KEY = base64.b64encode(bytes(range(32))).decode()
READERS: dict[str, Callable[[Path], object]] = {
    "keys of people": read_keys,
    "webhooks": webhook_secrets,
    "partners": partner_secrets,
    "shops": shop_secrets,
}


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644, 0o620, 0o660, 0o777])
def test_nobody_reads_a_file_that_others_may_touch(read: Callable[[Path], object], mode: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"mode {mode:04o}.*chmod 600") as told:
        read(written(tmp_path / "secret", KEY.encode(), mode))
    assert KEY not in str(told.value)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_everybody_reads_a_mounted_secret(read: Callable[[Path], object], mode: int, tmp_path: Path) -> None:
    assert read(written(tmp_path / "secret", f"\n {KEY}\r\n".encode(), mode))


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is empty"), (b" \n\n", "is empty"), (b"\xff\xfe", "cannot be read"), (b"x" * 65_537, "more than 65,536")],
)
def test_what_is_no_text_of_secrets_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{told}.*make one"):
        secret_lines(written(tmp_path / "secret", content), "the secret", "make one")


def test_what_is_no_file_is_refused_and_waited_for_by_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    for name in ("pipe", "directory", "nothing"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            secret_lines(tmp_path / name, "the secret", "make one")


def test_a_line_keeps_its_number_and_its_key_is_of_its_length(tmp_path: Path) -> None:
    assert secret_lines(written(tmp_path / "secret", b"\n a \n\nb"), "it", "make one") == ["", "a", "", "b"]
    assert base64_key(KEY, "here", 32, 32) == bytes(range(32))
    no_base64 = "here: a key is 32 bytes in base64"
    for text, told in ((KEY[:-4], "here: a key has 32 bytes, not 30"), ("?", no_base64), ("ä", no_base64)):
        with pytest.raises(ConfigurationError, match=told):
            base64_key(text, "here", 32, 32)
