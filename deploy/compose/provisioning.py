"""`python -m deploy.compose.provisioning databases|cluster`: prepares the servers of the compose file, once or again.

`databases` makes roles, databases and the tables of the demonstration's sources; the registry needs that to start.
`cluster` makes the brokers' users, topics, schemas and rights, and the keys of backup and publisher.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql
from pydantic import Field

from consumers.vendors.profiles import VendorProfiles
from deploy.backup.provisioning import provision
from deploy.demo.business import create_tables
from deploy.demo.transactions import System
from deploy.security.database_grants import login_roles, own_database
from deploy.security.files import SecurityFiles, write_private
from deploy.security.preparation import prepare_databases
from deploy.security.users import set_passwords
from deploy.topics import TopicChange, TopicLayout, apply_grants, apply_topics
from schemas.database_roles import ERP, LEDGER, REGISTRY, ROLES, SOURCES, VENDORS
from schemas.errors import ConfigurationError, Fatal, OrdersyncError
from schemas.grants import ADMINISTRATOR, PRINCIPALS
from schemas.registry import SchemaRegistry
from schemas.settings import DatabaseSettings, WorkerSettings, secret_of
from schemas.topics import CATALOGUE
from schemas.vendor_topics import vendor_principal, vendor_topic


class ProvisioningSettings(WorkerSettings):
    """Environment `ORDERSYNC_…` of the two services that prepare the servers.

    The brokers are reached by the administrator's certificate, the database server as its owner.
    """

    passwords: Path = Field(description="Directory with a file for the password of each principal and role")
    database: DatabaseSettings = Field(description="Any database of the server, as its owner")
    order_partitions: int = Field(12, gt=0, description="Partitions of each order-keyed topic")
    replication_factor: int = Field(3, gt=0, description="Copies of each partition")
    vendors: Path | None = Field(None, description="File that says which vendors read a topic of their own (TOML)")
    vault: Path | None = Field(None, description="Where policy, keys and copies of the backup lie; null makes none")
    privacy_keys: Path | None = Field(None, description="Below it the keys of the publisher lie; null makes none")


def prepare_database_server(settings: ProvisioningSettings) -> None:
    """Roles with their passwords, databases with their owners, tables of the sources; again changes nothing.

    Raises:
        ConfigurationError: a password cannot be read.
        Fatal: the server refuses, or does not answer.
    """

    def reach(dbname: str) -> DatabaseSettings:
        return settings.database.model_copy(update={"dbname": dbname})

    with TemporaryDirectory() as directory:
        roles = [name for name in ROLES if (settings.passwords / name).exists()]
        login_roles(settings.database, _private_copies(settings, roles, Path(directory)))
    databases = (*SOURCES, ERP, LEDGER, VENDORS, REGISTRY)
    for dbname in databases:
        _create_database(settings.database, dbname)
        own_database(settings.database, dbname)
    create_tables({system: reach(system.value) for system in System})
    prepare_databases(reach)


def prepare_cluster(settings: ProvisioningSettings) -> list[TopicChange]:
    """Users, topics, schemas and rights of the brokers, and keys of backup and publisher; gives what was changed.

    Raises:
        ConfigurationError: a password cannot be read, or a topic cannot be as declared.
        Fatal: the brokers or the registry refuse.
        Transient: they are away.
    """
    vendors = () if settings.vendors is None else VendorProfiles.load(settings.vendors).with_topics()
    principals = (ADMINISTRATOR, *PRINCIPALS, *(vendor_principal(one).name for one in vendors))
    with TemporaryDirectory() as directory:
        # Who has no password here has no work here, and cannot log in.
        users = [name for name in principals if (settings.passwords / name).exists()]
        files = _private_copies(settings, users, Path(directory))
        set_passwords(AdminClient(settings.kafka.client_config()), files, users)
    registry = SchemaRegistry(settings.registry)
    try:
        layout = TopicLayout(settings.order_partitions, settings.replication_factor)
        topics = [*CATALOGUE.values(), *map(vendor_topic, vendors)]
        changes = apply_topics(settings.kafka, registry, layout, topics)
        changes += apply_grants(settings.kafka, None if settings.vendors is None else vendors)
    finally:
        registry.close()
    if settings.vault is not None:
        provision(settings.vault)
    if settings.privacy_keys is not None:
        SecurityFiles(settings.privacy_keys).ensure_privacy_keys()
    return changes


def _private_copies(settings: ProvisioningSettings, names: Iterable[str], directory: Path) -> SecurityFiles:
    # Mounted secrets can be read by each user of their container; what sets passwords takes private files only.
    files = SecurityFiles(directory)
    for name in names:
        write_private(files.password_file(name), secret_of(None, settings.passwords / name) or "")
    return files


def _create_database(server: DatabaseSettings, dbname: str) -> None:
    try:
        with closing(psycopg.connect(server.conninfo(connect_timeout="10"), autocommit=True)) as session:
            known = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (dbname,)).fetchone()
            if known is None:
                session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(dbname)))
    except psycopg.Error as exc:
        raise Fatal(f"the database {dbname} could not be created: {exc}") from exc


def main(arguments: Sequence[str]) -> int:
    """Run one preparation with the settings of the environment; gives the exit code."""
    steps: dict[str, Callable[[ProvisioningSettings], object]] = {
        "databases": prepare_database_server,
        "cluster": prepare_cluster,
    }
    try:
        if len(arguments) != 1 or arguments[0] not in steps:
            raise ConfigurationError(f"name one of: {', '.join(steps)}")
        steps[arguments[0]](ProvisioningSettings.load())
    except OrdersyncError as exc:
        sys.stderr.write(f"provisioning: {exc}\n")
        return exc.exit_code
    sys.stderr.write(f"{arguments[0]}: prepared\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
