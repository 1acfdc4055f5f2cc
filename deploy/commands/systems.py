"""The systems that `reconcile` and `orders` read: those of the environment, otherwise those of the running stack."""

from __future__ import annotations

import os
from pathlib import Path

from consumers.reconcile.settings import ReconcileSettings
from schemas.errors import ConfigurationError


def systems_of(home: Path, role: str | None = None) -> ReconcileSettings:
    """ORDERSYNC_SOURCES, ORDERSYNC_ERP__... and ORDERSYNC_LEDGER__..., or the stack that runs in `home`.

    Of that stack the databases are entered as `role`, or as their owner.

    Raises:
        ConfigurationError: neither is there, or a setting is wrong.
    """
    if "ORDERSYNC_SOURCES" in os.environ:
        return ReconcileSettings.load()
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.demo.landscape import reconcile_settings
    from deploy.local.stack import EmbeddedStack

    endpoints = EmbeddedStack.find(home)
    if endpoints is None:
        raise ConfigurationError(
            f"no stack runs in {home}: start one with `ordersync up`, or name the systems with ORDERSYNC_SOURCES, "
            "ORDERSYNC_ERP__DBNAME, ORDERSYNC_LEDGER__DBNAME and ORDERSYNC_KAFKA__BOOTSTRAP_SERVERS"
        )
    return reconcile_settings(endpoints, role)
