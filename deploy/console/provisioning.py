"""The console of one machine: where its files are, its environment, and its first user."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deploy.commands.options import cluster_of
from schemas.errors import ConfigurationError

_LIBRARIES: Final = ("fastapi", "itsdangerous", "jinja2", "uvicorn")
FIRST_USER: Final = "admin"


def is_installed() -> bool:
    """Whether the libraries of the extra `console` are there."""
    return all(find_spec(name) is not None for name in _LIBRARIES)


def users_path(home: Path) -> Path:
    """ORDERSYNC_USERS, else the file of this home."""
    return Path(os.environ.get("ORDERSYNC_USERS") or home / "console" / "users.json")


def first_password(home: Path) -> str | None:
    """The password of the first user, made now; None where somebody may sign in already."""
    # Only here: this module is asked before the extra is known to be installed.
    from deploy.console.people.roles import Role
    from deploy.console.people.users import Users

    users = Users(users_path(home))
    return None if users.all() else users.add(FIRST_USER, Role.ADMIN)


def environment_of(home: Path) -> dict[str, str]:
    """What the worker needs and the environment does not say: the cluster, the systems and files of `home`.

    Raises:
        ConfigurationError: no stack runs there, and the environment names no cluster.
    """
    cluster = cluster_of(home)
    made = {
        "ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS": cluster.kafka.bootstrap_servers,
        "ORDERSYNC_REGISTRY__URL": cluster.registry.url,
        "ORDERSYNC_USERS": str(users_path(home)),
        "ORDERSYNC_DATA_DIR": str(home / "workers" / "console"),
    }
    if "ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS" not in os.environ:
        made |= _systems(home)
    return {name: value for name, value in made.items() if name not in os.environ}


def _systems(home: Path) -> dict[str, str]:
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.demo.landscape import reconcile_settings
    from deploy.local.stack import EmbeddedStack

    endpoints = EmbeddedStack.find(home)
    if endpoints is None:
        raise ConfigurationError(f"no stack runs in {home}: start one with `ordersync up`")
    settings = reconcile_settings(endpoints)
    made: dict[str, str] = {}
    for name, database in (("ERP", settings.erp), ("LEDGER", settings.ledger)):
        for field in ("host", "port", "dbname", "user"):
            made[f"ORDERSYNC_{name}__{field.upper()}"] = str(getattr(database, field))
        if database.password is not None:
            made[f"ORDERSYNC_{name}__PASSWORD"] = database.password.get_secret_value()
    return made
