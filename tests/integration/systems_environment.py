"""A world's systems as a deployment names them: variables of the environment."""

from __future__ import annotations

import json

from consumers.reconcile import ReconcileSettings
from deploy.local.endpoints import Endpoints
from schemas.settings import DatabaseSettings


def systems_environment(stack: Endpoints, settings: ReconcileSettings) -> dict[str, str]:
    """What `ordersync reconcile` and its kin read, for the systems of these settings."""
    sources = [{"mapping": source.mapping, "database": _where(source.database)} for source in settings.sources]
    environment = stack.environment() | {"ORDERSYNC_SOURCES": json.dumps(sources)}
    for name, database in (("ERP", settings.erp), ("LEDGER", settings.ledger)):
        environment |= {f"ORDERSYNC_{name}__{key.upper()}": value for key, value in _where(database).items()}
    return environment


def _where(database: DatabaseSettings) -> dict[str, str]:
    found = database.model_dump(exclude_none=True, exclude={"password"})
    secret = {} if database.password is None else {"password": database.password.get_secret_value()}
    return {name: str(value) for name, value in found.items()} | secret
