"""Every error that ordersync raises on purpose, and what the worker that meets it does.

OrdersyncError
├── InvalidMessage            the message is at fault: it goes to the dead letters, the partition goes on
│   ├── UndecodableMessage    not in the wire format, unknown schema id, or bytes that are not Avro
│   └── InvalidValue          decoded, but a field has no meaning (currency, code, amount)
├── Transient                 the environment is at fault: pause, then try the same batch again
└── Fatal                     going on would do harm: stop with exit code 1 and nothing committed
    ├── ConfigurationError    settings, mapping file or command line; exit code 2
    ├── SchemaDrift           committed or registered schemas do not fit the models
    ├── PositionConflict      another worker owns this position now (a zombie is told so)
    ├── BackupRefused         a backup is not what its owners signed, or may not be used so
    └── ApprovalNeeded        a second person has to approve first; exit code 5

Each adapter maps its library's errors to these once, by class or SQLSTATE, never by text.
"""

from __future__ import annotations


class OrdersyncError(Exception):
    """Root of the tree; `str()` of it says what happened, where, and what to do."""

    exit_code = 1


class InvalidMessage(OrdersyncError):
    """The message is at fault and will be so on each retry: reject it and go on."""

    def __init__(self, message: str, *, rule: str = "invalid_message", field: str | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.field = field


class UndecodableMessage(InvalidMessage):
    """Bytes that no schema of ours explains."""

    def __init__(self, message: str, *, rule: str = "undecodable") -> None:
        super().__init__(message, rule=rule)


class InvalidValue(InvalidMessage):
    """A decoded field whose value has no meaning, with the field's name."""


class Transient(OrdersyncError):
    """The environment is at fault (server away, deadlock, time-out): the same batch is tried again.

    `retry_after_seconds` is a lower bound that the failed part knows best.
    """

    def __init__(self, message: str, *, retry_after_seconds: float = 0.5) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Fatal(OrdersyncError):
    """Going on would lose or double something: the worker stops with nothing committed."""


class ConfigurationError(Fatal):
    """A setting, mapping file or command line that cannot work; the message says how to mend it."""

    exit_code = 2


class SchemaDrift(Fatal):
    """Schemas and models disagree: `ordersync schemas write` or a compatible change mends it."""


class PositionConflict(Fatal):
    """This worker no longer owns the position that it tried to advance."""


class BackupRefused(Fatal):
    """A backup that must not be trusted; `reason` is the check that failed, one word for tests and metrics."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ApprovalNeeded(Fatal):
    """Nothing was done: the policy wants a second person's approval, which is asked for under `request_id`."""

    exit_code = 5

    def __init__(self, message: str, *, request_id: str) -> None:
        super().__init__(message)
        self.request_id = request_id
