"""What follows from the transport's options for the client library."""

from __future__ import annotations

from streams.transport import TransportOptions
from streams.transport.batch import TransactionalId

OPTIONS = TransportOptions()


def test_without_transactions_no_output_times_out_by_itself() -> None:
    assert OPTIONS.producer_config()["message.timeout.ms"] == 0


def test_in_a_transaction_outputs_time_out_with_the_commit_and_before_the_transaction() -> None:
    config = OPTIONS.transactional_config(TransactionalId("group-0"))
    assert config["message.timeout.ms"] == OPTIONS.commit_timeout_seconds * 1000
    assert 0 < config["message.timeout.ms"] < config["transaction.timeout.ms"]


def test_a_short_transaction_bounds_its_outputs() -> None:
    config = TransportOptions(transaction_timeout_seconds=2).transactional_config(TransactionalId("group-0"))
    assert config["message.timeout.ms"] == config["transaction.timeout.ms"] == 2_000
