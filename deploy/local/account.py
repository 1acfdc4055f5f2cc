"""The unprivileged account that PostgreSQL needs where the launcher is root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError

_NAME = "ordersync"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, with its group."""

    name: str
    uid: int
    gid: int

    def reaches(self, path: Path) -> bool:
        """Whether this account may enter the directory or run the program: asked of the kernel as that account."""
        asked = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)],
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            check=False,
        )
        return asked.returncode == 0


def server_account() -> Account | None:
    """None where the launcher is an ordinary user; for root, the account `ordersync`, created when missing.

    Raises:
        ConfigurationError: the account neither exists nor can be created.
    """
    if os.geteuid() != 0:
        return None
    return _lookup() or _create()


def _lookup() -> Account | None:
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create() -> Account:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    problem = "`useradd` is not installed"
    if useradd is not None:
        command = [useradd, "--system", "--user-group", "--no-create-home"]
        command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", _NAME]
        problem = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
    # Another launcher may have created it at the same moment: what counts is that it exists.
    account = _lookup()
    if account is None:
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root, and the account {_NAME!r} for it could not be created "
            f"({problem}). Create it (`useradd --system {_NAME}`) or run ordersync as an ordinary user."
        )
    return account
