"""Kafka's error codes by what they ask of us: one list for every room, each of which adds only its own meaning.

The numbers are those of the Kafka protocol (positive) and of librdkafka (negative; there with a leading underscore).
"""

from __future__ import annotations

from enum import IntEnum

from schemas.errors import ConfigurationError, Fatal, Transient


class MovedOn(IntEnum):
    """The consumer group has given the partitions to another worker."""

    ILLEGAL_GENERATION = 22
    UNKNOWN_MEMBER_ID = 25
    REBALANCE_IN_PROGRESS = 27
    FENCED_INSTANCE_ID = 82


class Fenced(IntEnum):
    """Another producer has taken over the transactional id, or ours was away for too long."""

    INVALID_PRODUCER_EPOCH = 47
    PRODUCER_FENCED = 90
    _FENCED = -144


class Refused(IntEnum):
    """Only an operator can help: a right, a topic or a credential is missing."""

    UNKNOWN_TOPIC_OR_PART = 3
    TOPIC_AUTHORIZATION_FAILED = 29
    GROUP_AUTHORIZATION_FAILED = 30
    CLUSTER_AUTHORIZATION_FAILED = 31
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
    SASL_AUTHENTICATION_FAILED = 58
    _AUTHENTICATION = -169
    _UNKNOWN_TOPIC = -188
    _UNKNOWN_PARTITION = -190


class Away(IntEnum):
    """Time helps: brokers do not answer, or one that was killed does not lead its partitions and groups again yet.

    librdkafka itself calls most of these retriable in its transactions only.
    """

    LEADER_NOT_AVAILABLE = 5
    NOT_LEADER_FOR_PARTITION = 6
    REQUEST_TIMED_OUT = 7
    BROKER_NOT_AVAILABLE = 8
    REPLICA_NOT_AVAILABLE = 9
    NETWORK_EXCEPTION = 13
    COORDINATOR_LOAD_IN_PROGRESS = 14
    COORDINATOR_NOT_AVAILABLE = 15
    NOT_COORDINATOR = 16
    NOT_ENOUGH_REPLICAS = 19
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
    FENCED_LEADER_EPOCH = 74
    UNKNOWN_LEADER_EPOCH = 75
    OFFSET_NOT_AVAILABLE = 78
    UNSTABLE_OFFSET_COMMIT = 88
    _TIMED_OUT_QUEUE = -166
    _WAIT_COORD = -180
    _TIMED_OUT = -185
    _ALL_BROKERS_DOWN = -187
    _MSG_TIMED_OUT = -192
    _RESOLVE = -193
    _TRANSPORT = -195


MOVED_ON = frozenset(map(int, MovedOn))
FENCED = frozenset(map(int, Fenced))
REFUSED = frozenset(map(int, Refused))
AWAY = frozenset(map(int, Away))


def error_of_code(code: int, told: str, doing: str, *, passes: bool) -> ConfigurationError | Transient | Fatal:
    """Our error for one of the client's that has nothing to do with groups and fencing.

    Each room's adapter calls it once. `told` is the client's text, `doing` says what was attempted; `passes` that the
    error goes away by itself although its code does not say so.
    """
    if code in REFUSED:
        return ConfigurationError(
            f"{doing}: {told}; run `ordersync topics apply` and check what the worker's user may do"
        )
    if passes or code in AWAY:
        return Transient(f"{doing}: Kafka does not answer ({told}); is the broker running?")
    return Fatal(f"{doing}: {told}")
