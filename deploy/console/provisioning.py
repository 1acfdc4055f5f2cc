"""The console of one machine: where its files are, its environment, and its first user."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import ConfigurationError
from schemas.settings import DatabaseSettings

if TYPE_CHECKING:
    from deploy.local.endpoints import Endpoints

_LIBRARIES: Final = ("fastapi", "httptools", "itsdangerous", "jinja2", "uvicorn")
_CLUSTER: Final = "ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS"
FIRST_USER: Final = "admin"
PRINCIPAL: Final = "console"
REPAIRER: Final = "operator"
"""The role that restores an order in ERP or ledger for a person who may have that done."""


def is_installed() -> bool:
    """Whether the libraries of the extra `console` are there."""
    return all(find_spec(name) is not None for name in _LIBRARIES)


def users_path(home: Path) -> Path:
    """ORDERSYNC_USERS, else the file of this home."""
    return Path(os.environ.get("ORDERSYNC_USERS") or home.absolute() / "console" / "users.json")


def announcement(home: Path) -> str:
    """Where the console of an embedded stack will be, and how to sign in for the first time; makes the first user.

    Called by `ordersync up` before the stack starts; the password is told this once.
    """
    # Only here: this module is asked before the extra is known to be installed.
    from deploy.console.people.roles import Role
    from deploy.console.people.users import Users

    users = Users(home.absolute() / "console" / "users.json")
    address = f"console     http://127.0.0.1:{_port(home)}"
    if users.all():
        return address
    return f"{address}  first sign-in: {FIRST_USER} / {users.add(FIRST_USER, Role.ADMIN)}"


def stack_environment(home: Path, endpoints: Endpoints) -> dict[str, str]:
    """What the console of an embedded stack needs: cluster, systems, files and the port that it keeps."""
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.audit.policy import FILE, VARIABLE
    from deploy.backup.provisioning import local_backup
    from deploy.demo.landscape import reconcile_settings

    own = {
        "ORDERSYNC_USERS": str(home.absolute() / "console" / "users.json"),
        "ORDERSYNC_DATA_DIR": str(home.absolute() / "workers" / "console"),
        "ORDERSYNC_PORT": str(_port(home)),
    }
    if (home / FILE).exists():
        own[VARIABLE] = str((home / FILE).absolute())
    backup = local_backup(home)
    if backup.policy.exists():
        own |= {
            "ORDERSYNC_ARCHIVE__POLICY": str(backup.policy.absolute()),
            "ORDERSYNC_ARCHIVE__ROOT": str(backup.root.absolute()),
        }
    compared = reconcile_settings(endpoints, PRINCIPAL)
    sources = [{"mapping": one.mapping, "database": _revealed(one.database)} for one in compared.sources]
    repaired = reconcile_settings(endpoints, REPAIRER)
    systems = {"SOURCES": sources, "ERP": _revealed(compared.erp), "LEDGER": _revealed(compared.ledger)}
    systems |= {"REPAIR_ERP": _revealed(repaired.erp), "REPAIR_LEDGER": _revealed(repaired.ledger)}
    told = {f"ORDERSYNC_{name}": json.dumps(value) for name, value in systems.items()}
    return endpoints.environment(PRINCIPAL) | own | told


def environment_of(home: Path) -> dict[str, str]:
    """What `ordersync console` adds to the environment: nothing where that names a cluster, else the stack in `home`.

    Raises:
        ConfigurationError: no stack runs there.
    """
    if _CLUSTER in os.environ:
        return {} if "ORDERSYNC_USERS" in os.environ else {"ORDERSYNC_USERS": str(users_path(home))}
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.local.stack import EmbeddedStack

    endpoints = EmbeddedStack.find(home)
    if endpoints is None:
        raise ConfigurationError(
            f"no stack runs in {home}: start one with `ordersync up`, or name a cluster with {_CLUSTER} and "
            "ORDERSYNC_REGISTRY__URL"
        )
    told = stack_environment(home, endpoints)
    return {name: value for name, value in told.items() if name not in os.environ}


def _port(home: Path) -> int:
    """Kept from run to run, so that bookmarks stay right."""
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.local.ports import Ports

    (home / "console").mkdir(parents=True, exist_ok=True, mode=0o700)
    ports = Ports(home / "console" / "port.json")
    return ports.kept("console") or ports.claim("console")


def _revealed(database: DatabaseSettings) -> dict[str, object]:
    told: dict[str, object] = database.model_dump(mode="json", exclude={"password"}, exclude_none=True)
    if database.password is not None:
        told["password"] = database.password.get_secret_value()
    return told
