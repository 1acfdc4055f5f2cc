"""Which workers run on Kubernetes, and what each needs: the table that the manifests are written from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from schemas.database_roles import ERP, LEDGER, SOURCES, VENDORS

SECRETS = "/run/secrets/ordersync"
DATA = "/var/lib/ordersync"
POSTGRES = "ordersync-postgres-rw"
POSTGRES_SECRETS = f"{SECRETS}/postgres"
REPAIR_SECRETS = f"{SECRETS}/repair"
REPAIRER = "operator"
"""The role by which the console restores an order for a person who may have that done."""

TOLD = ("crm",)
"""Sources whose mapping file has a section [write_back]: their own records tell how their orders stand."""


class Kept(Enum):
    """What becomes of a worker's local files when its pod is replaced."""

    NOTHING = "nothing"
    """It has none that matter: a Deployment."""
    REBUILT = "rebuilt"
    """They save reading and are rebuilt where lost: a StatefulSet with a volume each."""
    NEEDED = "needed"
    """They must survive: a StatefulSet of one with a volume."""


@dataclass(frozen=True, slots=True)
class DeployedWorker:
    """One worker; `principal` is its Kafka user and database role.

    `settings` are variables without the prefix; `mounts` are secrets of the installation by directory, `only` the
    keys that it gets of them where it does not need all; `storage` is the size of its volume in Kubernetes' words.
    """

    name: str
    principal: str
    settings: Mapping[str, str] = field(default_factory=dict)
    kept: Kept = Kept.NOTHING
    replicas: int = 1
    cpu: str = "250m"
    memory: str = "512Mi"
    storage: str = "5Gi"
    mounts: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    port: int | None = None
    reaches_database: bool = False


def _database(prefix: str, host: str, dbname: str, user: str, secrets: str) -> dict[str, str]:
    return {
        f"{prefix}__HOST": host,
        f"{prefix}__DBNAME": dbname,
        f"{prefix}__USER": user,
        f"{prefix}__PASSWORD_FILE": f"{secrets}/password",
        f"{prefix}__SSLMODE": "verify-full",
        f"{prefix}__CA_LOCATION": f"{secrets}/ca.crt",
    }


def _own(dbname: str, role: str) -> dict[str, str]:
    return _database("DATABASE", POSTGRES, dbname, role, POSTGRES_SECRETS)


def _source(system: str) -> str:
    return f"{SECRETS}/source-{system}"


def _compared(role: str) -> str:
    sources = []
    for system in SOURCES:
        told = _database("", f"{system}-database", system, role, _source(system))
        database = {name.removeprefix("__").lower(): value for name, value in told.items()}
        sources.append({"mapping": system, "database": database})
    return json.dumps(sources)


def _sinks(role: str, secrets: str, prefix: str = "") -> dict[str, str]:
    erp = _database(f"{prefix}ERP", POSTGRES, ERP, role, secrets)
    return erp | _database(f"{prefix}LEDGER", POSTGRES, LEDGER, role, secrets)


_PROFILES = {"VENDORS": f"{SECRETS}/vendors/vendors.toml"}
_PROFILES_SECRET = {"vendors": "vendor-profiles"}
# Without the secrets that lie beside it.
_PROFILES_ALONE = {"vendors": ("vendors.toml",)}
_BACKUP = {"POLICY": f"{SECRETS}/backup/policy.toml", "ROOT": f"{SECRETS}/backup/root.json"}

WORKERS = (
    *(
        DeployedWorker(
            f"capture-{system}",
            f"capture-{system}",
            {"MAPPING": system}
            | _database("DATABASE", f"{system}-database", system, f"capture-{system}", _source(system)),
            kept=Kept.NEEDED,
            cpu="500m",
            mounts={f"source-{system}": f"capture-{system}-database"},
            reaches_database=True,
        )
        for system in SOURCES
    ),
    *(
        DeployedWorker(
            f"write-back-{system}",
            f"write-back-{system}",
            {"MAPPING": system}
            | _database("DATABASE", f"{system}-database", system, f"write-back-{system}", _source(system)),
            mounts={f"source-{system}": f"write-back-{system}-database"},
            reaches_database=True,
        )
        for system in TOLD
    ),
    DeployedWorker("streams", "streams", kept=Kept.REBUILT, replicas=2, cpu="1", storage="20Gi"),
    DeployedWorker("erp", "erp", _own(ERP, "erp"), replicas=2, reaches_database=True),
    DeployedWorker("warehouse", "warehouse", _own(LEDGER, "warehouse"), replicas=2, reaches_database=True),
    DeployedWorker("backup", "backup", replicas=2),
    DeployedWorker("vendors", "vendors", _PROFILES, replicas=2, mounts=_PROFILES_SECRET, only=_PROFILES_ALONE),
    DeployedWorker(
        "publisher",
        "publisher",
        {
            "PRIVACY__ENCRYPTION_KEY_FILE": f"{SECRETS}/privacy/encryption.keys",
            "PRIVACY__PSEUDONYM_KEY_FILE": f"{SECRETS}/privacy/pseudonym.key",
        },
        replicas=2,
        mounts={"privacy": "privacy-keys"},
    ),
    DeployedWorker(
        "deliveries",
        "deliveries",
        _own(VENDORS, "deliveries") | _PROFILES,
        replicas=2,
        memory="256Mi",
        mounts=_PROFILES_SECRET,
        only=_PROFILES_ALONE,
        reaches_database=True,
    ),
    DeployedWorker(
        "webhooks",
        "webhooks",
        _own(VENDORS, "webhooks") | _PROFILES | {"SECRET_KEYS": f"{SECRETS}/webhooks/webhook.keys"},
        replicas=2,
        memory="256Mi",
        mounts=_PROFILES_SECRET | {"webhooks": "webhook-keys"},
        reaches_database=True,
    ),
    DeployedWorker(
        "vendor-files",
        "vendor-files",
        _own(VENDORS, "vendor-files") | _PROFILES,
        kept=Kept.NEEDED,
        memory="256Mi",
        mounts=_PROFILES_SECRET,
        only=_PROFILES_ALONE,
        reaches_database=True,
    ),
    DeployedWorker(
        "archive",
        "archive",
        _BACKUP | {"CREATOR_KEY": f"{SECRETS}/backup/creator.pem"},
        kept=Kept.REBUILT,
        mounts={"backup": "backup-creator"},
    ),
    DeployedWorker(
        "keeper",
        "keeper",
        _BACKUP | {"KEEPER_KEY": f"{SECRETS}/backup/keeper.pem"},
        kept=Kept.NEEDED,
        mounts={"backup": "backup-keeper"},
    ),
    DeployedWorker(
        "api",
        "api",
        {
            "HOST": "0.0.0.0",
            "PORT": "8443",
            "CLIENTS": f"{SECRETS}/clients/clients.toml",
            "TLS_CERTIFICATE": f"{SECRETS}/tls/tls.crt",
            "TLS_KEY": f"{SECRETS}/tls/tls.key",
        },
        kept=Kept.REBUILT,
        replicas=2,
        mounts={"clients": "api-clients", "tls": "api-tls"},
        port=8443,
    ),
    DeployedWorker(
        "documents",
        "documents",
        {"SOURCES": f"{SECRETS}/documents/sources.toml", "DOCUMENTS_DIR": f"{DATA}/documents"},
        kept=Kept.NEEDED,
        mounts={"documents": "documents-sources"},
        # Its own, and what looking into one document may use beside it.
        memory="2Gi",
    ),
    DeployedWorker(
        "reconcile",
        "reconcile",
        {"SOURCES": _compared("reconcile")} | _sinks("reconcile", POSTGRES_SECRETS),
        kept=Kept.REBUILT,
        mounts={f"source-{system}": f"reconcile-{system}-database" for system in SOURCES},
        reaches_database=True,
    ),
    DeployedWorker("lag", "lag", memory="256Mi"),
    DeployedWorker("auditor", "auditor", kept=Kept.NEEDED, memory="256Mi", storage="1Gi"),
    DeployedWorker("figures", "figures", _own(LEDGER, "figures"), memory="256Mi", reaches_database=True),
    DeployedWorker(
        "console",
        "console",
        {
            "HOST": "0.0.0.0",
            "PORT": "8443",
            "PUBLIC_URL": "https://console.example.com",
            "USERS": f"{DATA}/users.json",
            "TLS_CERTIFICATE": f"{SECRETS}/tls/tls.crt",
            "TLS_KEY": f"{SECRETS}/tls/tls.key",
            "SOURCES": _compared("console"),
        }
        | _sinks("console", POSTGRES_SECRETS)
        | _sinks(REPAIRER, REPAIR_SECRETS, "REPAIR_"),
        kept=Kept.NEEDED,
        mounts={"tls": "console-tls"} | {f"source-{system}": f"console-{system}-database" for system in SOURCES},
        port=8443,
        reaches_database=True,
    ),
)
"""Every worker of an installation; those that serve no purpose there are set to no replicas by an overlay."""
