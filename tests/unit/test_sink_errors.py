"""Each class of error of PostgreSQL and Kafka means one thing to the runner."""

from __future__ import annotations

import psycopg
import pytest
from confluent_kafka import KafkaError, KafkaException
from psycopg import errors

from consumers.kafka import kafka_error
from consumers.postgres.errors import postgres_error
from schemas.errors import ConfigurationError, Fatal, InvalidMessage, OrdersyncError, PositionConflict, Transient


@pytest.mark.parametrize(
    ("raised", "meant"),
    [
        (errors.DeadlockDetected, Transient),
        (errors.SerializationFailure, Transient),
        (errors.AdminShutdown, Transient),
        (errors.CannotConnectNow, Transient),
        (errors.QueryCanceled, Transient),
        (errors.LockNotAvailable, Transient),
        (errors.TooManyConnections, Transient),
        (errors.DiskFull, Transient),
        (errors.ConnectionFailure, Transient),
        (errors.IdleInTransactionSessionTimeout, Transient),
        (psycopg.OperationalError, Transient),
        (psycopg.InterfaceError, Transient),
        (psycopg.DataError, InvalidMessage),
        (errors.NumericValueOutOfRange, InvalidMessage),
        (errors.CharacterNotInRepertoire, InvalidMessage),
        (errors.CheckViolation, InvalidMessage),
        (errors.CardinalityViolation, InvalidMessage),
        (errors.InsufficientPrivilege, ConfigurationError),
        (errors.UndefinedTable, ConfigurationError),
        (errors.InvalidPassword, ConfigurationError),
        (errors.InternalError_, Fatal),
        (errors.InFailedSqlTransaction, Fatal),
        (psycopg.ProgrammingError, Fatal),
    ],
)
def test_postgres(raised: type[psycopg.Error], meant: type[OrdersyncError]) -> None:
    problem = postgres_error(raised("broken"), "writing in erp")
    assert isinstance(problem, meant)
    assert str(problem).startswith("writing in erp: ")
    # Only the configuration's errors are to be mended there.
    assert isinstance(problem, ConfigurationError) == (meant is ConfigurationError)


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        (KafkaError._TRANSPORT, Transient),
        (KafkaError._ALL_BROKERS_DOWN, Transient),
        (KafkaError._MSG_TIMED_OUT, Transient),
        (KafkaError.FENCED_LEADER_EPOCH, Transient),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Transient),
        (KafkaError.LEADER_NOT_AVAILABLE, Transient),
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, Transient),
        (KafkaError.NOT_COORDINATOR, Transient),
        (KafkaError.PRODUCER_FENCED, PositionConflict),
        (KafkaError.INVALID_PRODUCER_EPOCH, PositionConflict),
        (KafkaError.ILLEGAL_GENERATION, PositionConflict),
        (KafkaError.UNKNOWN_MEMBER_ID, PositionConflict),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ConfigurationError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, ConfigurationError),
        (KafkaError.MSG_SIZE_TOO_LARGE, Fatal),
    ],
)
def test_kafka(code: int, meant: type[OrdersyncError]) -> None:
    for problem in (KafkaError(code), KafkaException(KafkaError(code))):
        assert type(kafka_error(problem, "consuming")) is meant


def test_a_retriable_error_of_kafka_is_transient_whatever_its_code() -> None:
    assert isinstance(kafka_error(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, retriable=True), "x"), Transient)
