"""Brings the rights on a cluster to what `schemas.grants` declares, and says where they differ."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from schemas.errors import ConfigurationError, Fatal, OrdersyncError, Transient
from schemas.grants import CLUSTER_NAME, Grant, Operation, ResourceKind
from schemas.kafka_codes import error_of_code

_TIMEOUT_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_ANY_HOST = "*"
_KINDS = {
    ResourceKind.TOPIC: ResourceType.TOPIC,
    ResourceKind.GROUP: ResourceType.GROUP,
    ResourceKind.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
    ResourceKind.CLUSTER: ResourceType.BROKER,
}
_KIND_OF: dict[Any, ResourceKind] = {kind: ours for ours, kind in _KINDS.items()}
_OPERATIONS = {operation: AclOperation[operation.name] for operation in Operation}
_OPERATION_OF: dict[Any, Operation] = {theirs: ours for ours, theirs in _OPERATIONS.items()}
_USER = "User:"


@dataclass(frozen=True, slots=True)
class GrantDrift:
    """How the cluster differs from the declaration."""

    missing: tuple[Grant, ...]
    """Declared and not there."""
    undeclared: tuple[str, ...]
    """There and not declared: of a principal or of a kind that the declaration does not know, too."""
    _withdrawn: tuple[AclBindingFilter, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.missing or self.undeclared)


class BrokerGrants:
    """The rights of one cluster, asked and changed as the deployer or the administrator."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    def granted(self) -> frozenset[Grant] | None:
        """The rights that the cluster has now and that can be told in our terms; None without an authorizer."""
        bindings = self._bindings()
        if bindings is None:
            return None
        return frozenset(grant for grant in map(_grant, bindings) if grant is not None)

    def drift(self, declared: Iterable[Grant]) -> GrantDrift | None:
        """What differs now; None where the cluster has no authorizer, and so no rights.

        Raises:
            ConfigurationError: this user may not ask.
            Transient: the brokers are away.
        """
        bindings = self._bindings()
        if bindings is None:
            return None
        found = {binding: _grant(binding) for binding in bindings}
        wanted = frozenset(declared)
        strange = [binding for binding, grant in found.items() if grant not in wanted]
        return GrantDrift(
            missing=tuple(sorted(wanted - set(found.values()))),
            undeclared=tuple(sorted(_told(binding) for binding in strange)),
            _withdrawn=tuple(_exactly(binding) for binding in strange),
        )

    def apply(self, declared: Iterable[Grant]) -> GrantDrift | None:
        """Give what is missing and withdraw what is not declared; what was done, or None without an authorizer.

        Doing it twice changes nothing. New rights are given before old ones are taken, so no worker stands without;
        on return the broker that answers goes by them.

        Raises:
            ConfigurationError: this user may not change rights.
            Transient: the brokers are away, or do not hear of the change.
        """
        wanted = frozenset(declared)
        drift = self.drift(wanted)
        if not drift:
            return drift
        if drift.missing:
            given = self._admin.create_acls(
                [_binding(grant) for grant in drift.missing], request_timeout=_TIMEOUT_SECONDS
            )
            if _has_no_authorizer(given.values()):
                # Some brokers answer the question for rights with an empty list instead of a refusal.
                return None
            _wait(given, "giving a right")
        if drift._withdrawn:
            _wait(
                self._admin.delete_acls(list(drift._withdrawn), request_timeout=_TIMEOUT_SECONDS), "withdrawing a right"
            )
        self._await_known(wanted)
        return drift

    def _await_known(self, wanted: frozenset[Grant]) -> None:
        """Return when the brokers go by it: the controller answers before they have heard of a change."""
        until = monotonic() + _TIMEOUT_SECONDS
        while left := self.drift(wanted):
            if monotonic() > until:
                differing = len(left.missing) + len(left.undeclared)
                raise Transient(
                    f"{differing} rights are not as declared {_TIMEOUT_SECONDS:.0f} s after they were changed: do the "
                    "brokers follow their controller, and does nobody else change rights? Apply again"
                )
            sleep(_LOOK_SECONDS)

    def _bindings(self) -> list[AclBinding] | None:
        try:
            found: list[AclBinding] = self._admin.describe_acls(_every(), request_timeout=_TIMEOUT_SECONDS).result()
        except KafkaException as exc:
            if exc.args[0].code() == KafkaError.SECURITY_DISABLED:
                return None
            raise _error(exc, "reading the rights of the cluster") from exc
        return found


def _binding(grant: Grant) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _KINDS[grant.kind],
        grant.resource,
        pattern,
        f"{_USER}{grant.principal}",
        _ANY_HOST,
        _OPERATIONS[grant.operation],
        AclPermissionType.ALLOW,
    )


def _grant(binding: AclBinding) -> Grant | None:
    kind, operation = _KIND_OF.get(binding.restype), _OPERATION_OF.get(binding.operation)
    plain = binding.host == _ANY_HOST and binding.permission_type is AclPermissionType.ALLOW
    if kind is None or operation is None or not plain or not binding.principal.startswith(_USER):
        return None
    resource = CLUSTER_NAME if kind is ResourceKind.CLUSTER else binding.name
    prefixed = binding.resource_pattern_type is ResourcePatternType.PREFIXED
    return Grant(binding.principal.removeprefix(_USER), kind, resource, operation, prefixed)


def _every() -> AclBindingFilter:
    # The client's own types do not know that a filter may leave a name open.
    open_name: Any = None
    return AclBindingFilter(
        ResourceType.ANY,
        open_name,
        ResourcePatternType.ANY,
        open_name,
        open_name,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _told(binding: AclBinding) -> str:
    grant = _grant(binding)
    if grant is not None:
        return str(grant)
    named: tuple[Any, ...] = (binding.permission_type, binding.operation, binding.restype)
    permission, operation, kind = (one.name.lower() for one in named)
    return f"{binding.principal}@{binding.host}: {permission} {operation} {kind} {binding.name}"


def _has_no_authorizer(given: Iterable[Future[Any]]) -> bool:
    told = (future.exception() for future in given)
    return any(isinstance(exc, KafkaException) and exc.args[0].code() == KafkaError.SECURITY_DISABLED for exc in told)


def _wait(futures: dict[Any, Future[Any]], doing: str) -> None:
    for subject, future in futures.items():
        try:
            future.result()
        except KafkaException as exc:
            raise _error(exc, f"{doing} ({subject.principal} on {subject.name})") from exc


def _error(exc: KafkaException, doing: str) -> OrdersyncError:
    error: KafkaError = exc.args[0]
    problem = error_of_code(error.code(), error.str(), doing, passes=error.retriable())
    if isinstance(problem, ConfigurationError):
        return ConfigurationError(f"{doing}: {error.str()}; do it as the deployer or the administrator")
    return problem if not isinstance(problem, Fatal) else Fatal(f"{doing}: {error.str()}")
