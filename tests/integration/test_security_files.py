"""What another account of the machine may read in a home: tried by being it."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.backup.provisioning import provision
from deploy.console.people.roles import Role
from deploy.console.people.users import Users
from deploy.local.account import server_account
from deploy.local.stack import EmbeddedStack
from deploy.security.file_matrix import ANOTHER, DATABASE_ACCOUNT, KEPT, OWNER, file_cells

pytestmark = pytest.mark.integration
_NOBODY = 65534


@pytest.fixture(scope="module")
def home(secured: EmbeddedStack) -> Iterator[Path]:
    """The home of a stack with everything that a landscape keeps there."""
    provision(secured.home)
    users = Users(secured.home / "console" / "users.json")
    if not users.all():
        users.add("ada", Role.ADMIN)
    yield secured.home


@pytest.mark.parametrize("account", [OWNER, DATABASE_ACCOUNT, ANOTHER])
def test_an_account_reads_what_is_its_own_and_nothing_else(home: Path, account: str) -> None:
    wanted = {cell.action for cell in file_cells() if cell.role == account and cell.allowed}
    if account == OWNER:
        assert {action for action, place in KEPT.items() if reads(home / place, None)} == wanted
    elif os.geteuid() == 0:
        other = server_account() if account == DATABASE_ACCOUNT else None
        number = other.uid if other is not None else _NOBODY
        assert {action for action, place in KEPT.items() if reads(home / place, number)} == wanted
    elif account == ANOTHER:
        # Only root can be somebody else; so the rights that decide it are looked at.
        assert {action for action, place in KEPT.items() if is_open(home, home / place)} == wanted
    else:
        assert server_account() is None, "the database server has no account of its own where nobody is root"


def test_a_file_that_is_opened_to_all_is_found(home: Path) -> None:
    password = home / "security" / "passwords" / "erp"
    before = {place: stat.S_IMODE(place.stat().st_mode) for place in (password, *password.parents[:2])}
    try:
        for place, mode in before.items():
            place.chmod(mode | 0o055)
        assert is_open(home, password)
        assert os.geteuid() != 0 or reads(password, _NOBODY)
    finally:
        for place, mode in before.items():
            place.chmod(mode)
    assert not is_open(home, password)


def reads(place: Path, account: int | None) -> bool:
    """Whether a process of this account gets the content of a file, or the names in a directory."""
    command = ["/bin/ls", "-A", str(place)] if place.is_dir() else ["/usr/bin/head", "-c", "1", str(place)]
    extra = () if account is not None else None
    done = subprocess.run(
        command, user=account, group=account, extra_groups=extra, capture_output=True, check=False, cwd="/", timeout=60
    )
    assert done.returncode == 0 or b"ermission denied" in done.stderr, done.stderr
    return done.returncode == 0


def is_open(home: Path, place: Path) -> bool:
    """Whether everybody may pass each directory from the home to the place, and read it."""
    passed = [parent for parent in place.parents if parent.is_relative_to(home) and parent != home]
    needed = stat.S_IROTH | (stat.S_IXOTH if place.is_dir() else 0)
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in passed) and place.stat().st_mode & needed == needed
