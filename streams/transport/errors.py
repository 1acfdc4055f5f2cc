"""The one place where errors of the Kafka client become errors of the system."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import Fatal, PositionConflict, Transient
from schemas.kafka_codes import MOVED_ON, REFUSED

# Here also what the settings ask for and the brokers will not do.
_NEEDS_AN_OPERATOR = REFUSED | {
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError._INVALID_ARG,
    KafkaError._UNSUPPORTED_FEATURE,
}


class FencedByGroup(PositionConflict):
    """The group has moved on: this generation's outputs are aborted and others take its partitions."""


class DeliveryFailed(Transient):
    """A transaction or a delivery could not be completed; its effect is unknown or nil, so all is rewound."""


class RecordsExpired(Fatal):
    """Retention deleted records before they were read."""


def client_error(exc: KafkaException, doing: str) -> Fatal | Transient:
    """The system's error for a client's exception; `doing` says what was under way, as in "committing"."""
    return error_of(exc.args[0], doing)


def error_of(error: KafkaError, doing: str) -> Fatal | Transient:
    """As `client_error`, for an error that was reported and not raised."""
    code = error.code()
    told = f"Kafka said {error.name()} while {doing}: {error.str()}"
    if code in MOVED_ON:
        return FencedByGroup(f"{told}. The consumer group gave the partitions to another worker.")
    if code == KafkaError._AUTO_OFFSET_RESET:
        return RecordsExpired(
            f"{told}. Records were deleted before they were read: lengthen the topic's retention, then set the "
            "group's offsets by hand to where reading shall go on."
        )
    if code in _NEEDS_AN_OPERATOR:
        return Fatal(f"{told}. Check the topics, the grants and the client's settings, then start again.")
    return DeliveryFailed(f"{told}. The work since the last commit is done again.")
