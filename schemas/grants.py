"""Who may do what on the cluster: one principal for each duty, with the least that it needs.

`ordersync topics apply` brings the brokers to this table. A topic that nobody is named for is closed to all.
Source: S8 (segregation of duties), I4 (controlled access), B9 (creating, storing and restoring are different roles).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from schemas import topics
from schemas.topics import CAPTURED_TOPICS, CATALOGUE, MASTER_TOPICS

ADMINISTRATOR = "admin"
"""Owns the installation: a super user of the brokers, for emergencies and for the first start; no worker is it."""

DEPLOYER = "deployer"
"""Changes topics, schemas and rights."""


class ResourceKind(StrEnum):
    """What a right is on, in Kafka's words."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional_id"
    CLUSTER = "cluster"


class Operation(StrEnum):
    """What may be done, in Kafka's words."""

    READ = "read"
    WRITE = "write"
    CREATE = "create"
    DELETE = "delete"
    ALTER = "alter"
    ALTER_CONFIGS = "alter_configs"
    DESCRIBE = "describe"
    DESCRIBE_CONFIGS = "describe_configs"


_OF_AN_OWNER = (
    Operation.CREATE,
    Operation.READ,
    Operation.WRITE,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
)

CLUSTER_NAME = "kafka-cluster"
EVERY = "*"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One right of one principal; `prefixed` where `resource` is the start of names."""

    principal: str
    kind: ResourceKind
    resource: str
    operation: Operation
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.principal}: {self.operation} {self.kind} {self.resource}{'…' if self.prefixed else ''}"


@dataclass(frozen=True, slots=True)
class Principal:
    """One user of the cluster, with its duty.

    `groups` and `transactional_ids` are starts of names; `describes` are topics of which it may know that they are
    there, and how far they reach; `owns` are starts of names of topics that it makes, fills and reads itself;
    `fills` of those that others make for it. `looks_up` are topics that it reads only to do nothing twice, and nothing
    that nobody approved: whoever sees what was done is not its auditor yet, so no duty follows.
    """

    name: str
    duty: str
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    looks_up: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    transactional_ids: tuple[str, ...] = ()
    further: tuple[tuple[ResourceKind, str, Operation], ...] = field(default=())
    for_people: bool = False
    """It acts for people whom it makes sign in, and keeps their duties apart itself."""

    def grants(self) -> Iterator[Grant]:
        """Each of its rights."""
        for topic in self.writes:
            yield self._grant(ResourceKind.TOPIC, topic, Operation.WRITE)
        for topic in self.reads:
            yield self._grant(ResourceKind.TOPIC, topic, Operation.READ)
        for topic in self.looks_up:
            yield self._grant(ResourceKind.TOPIC, topic, Operation.READ)
        for topic in self.describes:
            yield self._grant(ResourceKind.TOPIC, topic, Operation.DESCRIBE)
        for start in self.owns:
            for operation in _OF_AN_OWNER:
                yield Grant(self.name, ResourceKind.TOPIC, start, operation, prefixed=True)
        for start in self.fills:
            for operation in (Operation.READ, Operation.WRITE):
                yield Grant(self.name, ResourceKind.TOPIC, start, operation, prefixed=True)
        for start in self.groups:
            yield Grant(self.name, ResourceKind.GROUP, start, Operation.READ, prefixed=True)
        for start in self.transactional_ids:
            yield Grant(self.name, ResourceKind.TRANSACTIONAL_ID, start, Operation.WRITE, prefixed=True)
            yield Grant(self.name, ResourceKind.TRANSACTIONAL_ID, start, Operation.DESCRIBE, prefixed=True)
        for kind, resource, operation in self.further:
            yield self._grant(kind, resource, operation)

    def _grant(self, kind: ResourceKind, resource: str, operation: Operation) -> Grant:
        return Grant(self.name, kind, resource, operation)


def capture_principal(system: str, captured: Iterable[str]) -> Principal:
    """The principal of the capture of one source: it writes what its mapping file names, and nothing of other sources.

    It reads its own topics to compare them with the source, and the requests to read again.
    """
    own = tuple(sorted(set(captured)))
    return Principal(
        f"capture-{system}",
        f"changes of {system} -> topics",
        writes=(*own, topics.REJECTED, topics.CAPTURE_SIGNALS),
        reads=(*own, topics.CAPTURE_SIGNALS),
        groups=("ordersync-capture-",),
    )


def write_back_principal(system: str) -> Principal:
    """The principal that tells one system how its orders stand."""
    return Principal(
        f"write-back-{system}",
        f"how orders stand -> the records of {system}",
        writes=written_by("write-back"),
        reads=read_by("write-back"),
        groups=(f"ordersync-write-back-{system}",),
    )


def catalogue_principal(
    name: str,
    duty: str,
    groups: tuple[str, ...],
    transactional_ids: tuple[str, ...] = (),
    further: tuple[tuple[ResourceKind, str, Operation], ...] = (),
    *,
    fills: tuple[str, ...] = (),
    for_people: bool = False,
) -> Principal:
    """The principal of a worker that writes and reads exactly the topics for which the catalogue names it."""
    return Principal(
        name,
        duty,
        writes=written_by(name),
        reads=read_by(name),
        fills=fills,
        groups=groups,
        transactional_ids=transactional_ids,
        further=further,
        for_people=for_people,
    )


def written_by(writer: str) -> tuple[str, ...]:
    """The topics that the catalogue names `writer` for."""
    return tuple(topic.name for topic in CATALOGUE.values() if writer in topic.writers)


def read_by(reader: str) -> tuple[str, ...]:
    """The topics that the catalogue names `reader` for."""
    return tuple(topic.name for topic in CATALOGUE.values() if reader in topic.readers)


_CLI = "cli"

_DEPLOYER = Principal(
    DEPLOYER,
    "creates and changes topics and rights; reads no order",
    further=(
        *(
            (ResourceKind.TOPIC, EVERY, operation)
            for operation in (
                Operation.CREATE,
                Operation.ALTER,
                Operation.ALTER_CONFIGS,
                Operation.DESCRIBE,
                Operation.DESCRIBE_CONFIGS,
            )
        ),
        *(
            (ResourceKind.CLUSTER, CLUSTER_NAME, operation)
            for operation in (Operation.CREATE, Operation.ALTER, Operation.DESCRIBE)
        ),
    ),
)

_CLOSED_TO_LAG = (topics.AUDIT, topics.BACKUP, topics.SUBJECT_KEYS)

_WORKERS = (
    capture_principal("crm", (topics.ORDERS_CAPTURED, topics.CUSTOMERS)),
    capture_principal("inventory", (topics.FULFILMENT_CAPTURED, topics.PRODUCTS, topics.VENDORS)),
    capture_principal("finance", (topics.PAYMENTS_CAPTURED, topics.FX_RATES)),
    catalogue_principal(
        "api",
        "orders over HTTP -> orders.captured, and what became of them -> callers",
        groups=("ordersync-api",),
    ),
    catalogue_principal(
        "streams",
        "captured events -> versions, dead letters, journal entries",
        groups=("ordersync-streams", "ordersync-master-feed", "ordersync-state-recovery"),
        transactional_ids=("ordersync-streams-",),
    ),
    catalogue_principal(
        "erp",
        "orders.events -> ERP",
        groups=("ordersync-erp",),
    ),
    catalogue_principal(
        "warehouse",
        "gl.postings -> general ledger",
        groups=("ordersync-warehouse",),
    ),
    catalogue_principal(
        "vendors",
        "orders.events -> what each vendor is told",
        groups=("ordersync-vendors",),
        transactional_ids=("ordersync-vendors-",),
        fills=(topics.VENDOR_TOPICS,),
    ),
    catalogue_principal(
        "publisher",
        "orders.events -> orders.published, with what is personal sealed",
        groups=("ordersync-publisher",),
        transactional_ids=("ordersync-publisher-",),
    ),
    catalogue_principal(
        "deliveries",
        "what vendors are told, and what becomes of orders -> queues of vendors and clients",
        groups=("ordersync-deliveries",),
    ),
    Principal("webhooks", "queues of vendors and clients -> signed requests to their servers; reads no topic"),
    Principal("vendor-files", "queues of the vendors -> UBL, EDIFACT and X12 files; reads no topic"),
    write_back_principal("crm"),
    catalogue_principal(
        "console",
        "shows orders, refusals and differences to people in the browser, and records what they do",
        groups=("ordersync-console", "ordersync-cli"),
        further=((ResourceKind.GROUP, EVERY, Operation.DESCRIBE),),
        for_people=True,
    ),
    catalogue_principal(
        "documents",
        "mail and documents -> orders.captured",
        groups=("ordersync-api", "ordersync-documents"),
    ),
    Principal(
        "backup",
        "order topics -> backup.orders",
        writes=(*written_by("backup"), topics.REJECTED),
        reads=(*read_by("backup"), topics.BACKUP),
        groups=("ordersync-backup",),
        transactional_ids=("ordersync-backup-",),
    ),
    Principal(
        "archive",
        "creates backups: topics -> encrypted segments outside Kafka",
        # A copy of the keys would outlive their destruction.
        reads=tuple(name for name in CATALOGUE if name != topics.SUBJECT_KEYS),
        groups=("ordersync-archive",),
        further=(
            (ResourceKind.TOPIC, EVERY, Operation.DESCRIBE_CONFIGS),
            (ResourceKind.GROUP, EVERY, Operation.DESCRIBE),
            (ResourceKind.CLUSTER, CLUSTER_NAME, Operation.DESCRIBE),
        ),
    ),
    Principal(
        "lag",
        "watches how far each group is behind; reads heads of records for their times, and no state",
        reads=tuple(name for name in CATALOGUE if name not in _CLOSED_TO_LAG),
        describes=_CLOSED_TO_LAG,
        groups=("ordersync-lag",),
        further=(
            (ResourceKind.GROUP, EVERY, Operation.DESCRIBE),
            (ResourceKind.CLUSTER, CLUSTER_NAME, Operation.DESCRIBE),
        ),
    ),
    Principal("figures", "shows figures of the general ledger; reads no topic"),
    Principal("keeper", "keeps backups: proves and signs what was archived; reads no topic"),
    Principal(
        "reconcile",
        "compares all systems -> orders.mismatches",
        writes=written_by("reconcile"),
        reads=(
            *read_by("reconcile"),
            *CAPTURED_TOPICS,
            topics.ORDER_EVENTS,
            topics.POSTINGS,
            topics.MISMATCHES,
        ),
        groups=("ordersync.reconcile.", "ordersync-cli"),
        further=tuple(
            (ResourceKind.GROUP, group, Operation.DESCRIBE)
            for group in ("ordersync-streams", "ordersync-warehouse", "ordersync-vendors", "ordersync-backup")
        ),
    ),
)

_PEOPLE = (
    Principal(
        "operator",
        "mends and replays what was refused, delivers files, asks captures to read again",
        writes=(*written_by(_CLI), *CAPTURED_TOPICS, topics.REJECTED),
        reads=(
            *read_by(_CLI),
            *CAPTURED_TOPICS,
            *MASTER_TOPICS,
            topics.REJECTED,
            topics.PARKED,
            topics.ORDER_STATE,
            topics.ORDER_EVENTS,
            topics.POSTINGS,
        ),
        looks_up=(topics.AUDIT,),
        groups=("ordersync-cli", "ordersync-capture-answers"),
        transactional_ids=(
            "ordersync-replay-",
            "ordersync-delivery-",
            "ordersync-process-window",
            "ordersync-privacy",
        ),
        further=((ResourceKind.GROUP, EVERY, Operation.DESCRIBE),),
    ),
    Principal(
        "auditor",
        "reads who did what, the differences and the chained copy; changes nothing",
        reads=(topics.AUDIT, topics.MISMATCHES, topics.BACKUP, topics.REJECTED),
        describes=tuple(CATALOGUE),
        groups=("audit-", "ordersync-cli"),
        further=((ResourceKind.CLUSTER, CLUSTER_NAME, Operation.DESCRIBE),),
    ),
    catalogue_principal(
        "subscriber",
        "programs of other departments: orders, with what is personal sealed",
        groups=("subscriber-",),
    ),
    catalogue_principal(
        "subscriber-personal",
        "those of them that need names and addresses, and hold the key-encryption keys",
        groups=("personal-",),
    ),
    Principal(
        "restorer",
        "restores topics from the archive under names of their own",
        owns=("restore.",),
        groups=("ordersync-restore", "restore."),
    ),
)

PRINCIPALS: dict[str, Principal] = {one.name: one for one in (_DEPLOYER, *_WORKERS, *_PEOPLE)}
"""Everybody but the administrator."""


def declared_grants(principals: Iterable[Principal] = PRINCIPALS.values()) -> frozenset[Grant]:
    """Every right that somebody has."""
    return frozenset(grant for principal in principals for grant in principal.grants())
