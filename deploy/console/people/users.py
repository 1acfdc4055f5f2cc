"""The file of users: written by `ordersync console user` and when people change their password; read by the console."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from deploy.console.people.passwords import check_fitness, hashed, one_time_password
from deploy.console.people.roles import RIGHTS, Right, Role
from schemas.errors import ConfigurationError

_HASH = r"^scrypt\$\d{1,8}\$\d{1,3}\$\d{1,3}\$[A-Za-z0-9+/=]{20,64}\$[A-Za-z0-9+/=]{40,64}$"


class User(BaseModel):
    """One person."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.@-]{0,62}$")
    role: Role
    password: str = Field(pattern=_HASH, repr=False)
    must_change: bool = Field(description="Whether the password was made by somebody else and must be replaced first")
    changed_at: AwareDatetime

    def may(self, right: Right) -> bool:
        """Whether the role has the right."""
        return right in RIGHTS[self.role]


class UsersFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: list[User] = []


class Users:
    """The users of one file; changes by another process are seen with the next question."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._users: dict[str, User] = {}

    def all(self) -> list[User]:
        """Everybody, by name.

        Raises:
            ConfigurationError: the file is not what this class writes.
        """
        return sorted(self._read().values(), key=lambda user: user.name)

    def of(self, name: str) -> User | None:
        """The user of that name. Raises as `all`."""
        return self._read().get(name)

    def add(self, name: str, role: Role) -> str:
        """Add somebody, or give somebody a new role and password; gives the password, which must be changed first.

        Raises:
            ConfigurationError: the name has other characters than a-z 0-9 _ . @ -
        """
        password = one_time_password()
        self._change(lambda users: users | {name: _user(name, role, password, must_change=True)})
        return password

    def remove(self, name: str) -> None:
        """Take somebody out; their sessions end. Raises `ConfigurationError` where there is nobody of that name."""

        def without(users: dict[str, User]) -> dict[str, User]:
            if name not in users:
                raise ConfigurationError(f"there is no user {name!r}; users: {', '.join(sorted(users)) or 'none'}")
            return {other: user for other, user in users.items() if other != name}

        self._change(without)

    def set_password(self, name: str, password: str) -> None:
        """Replace a person's password by one of their own. Raises `ConfigurationError` for one that is too weak."""
        check_fitness(password, name)

        def with_password(users: dict[str, User]) -> dict[str, User]:
            if name not in users:
                raise ConfigurationError(f"there is no user {name!r} any more")
            return users | {name: _user(name, users[name].role, password, must_change=False)}

        self._change(with_password)

    def _change(self, change: Callable[[dict[str, User]], dict[str, User]]) -> None:
        with self._locked():
            self._seen = None
            users = change(dict(self._read()))
            content = UsersFile(users=list(users.values())).model_dump_json(indent=2)
            replacement = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            replacement.replace(self._path)
            self._seen = None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two changes at once would lose one."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path.with_name(f"{self._path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError as exc:
            raise ConfigurationError(f"users file {self._path} cannot be written: {exc.strerror}") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, User]:
        try:
            about = self._path.stat()
            seen = about.st_mtime_ns, about.st_ino, about.st_size
            if seen != self._seen:
                content = UsersFile.model_validate_json(self._path.read_bytes())
                self._users, self._seen = {user.name: user for user in content.users}, seen
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise ConfigurationError(f"users file {self._path} cannot be read: {exc.strerror}") from exc
        except ValidationError as exc:
            told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors())
            raise ConfigurationError(f"users file {self._path}: {told}") from exc
        return self._users


def _user(name: str, role: Role, password: str, *, must_change: bool) -> User:
    kept = hashed(password)
    try:
        return User(name=name, role=role, password=kept, must_change=must_change, changed_at=datetime.now(UTC))
    except ValidationError as exc:
        raise ConfigurationError(
            f"{name!r} cannot be a user's name: use a-z, 0-9 and _ . @ -, at most 63, beginning with a letter or digit"
        ) from exc
