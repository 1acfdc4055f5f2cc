"""Where deeds are cleared: whoever does one that the policy names asks here first, and a second person decides here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.audit.approvals import (
    APPROVED,
    REJECTED,
    REQUESTED,
    USED,
    Request,
    State,
    content_hash,
    is_about_approvals,
    requests_of,
    subject_of,
)
from deploy.audit.policy import ApprovalPolicy, Kind, Person
from deploy.commands.options import Cluster
from deploy.topic_reading import read_raw
from producers.auditing import AuditWriter
from schemas.audit_chain import Actor, Deed
from schemas.codec import TopicCodec
from schemas.errors import ApprovalNeeded, ConfigurationError
from schemas.models import AuditEvent
from schemas.registry import SchemaRegistry
from schemas.topics import AUDIT

_CLIENT_ID: Final = "ordersync-approvals"
_WAIT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Intent:
    """A deed before it is done: who wants it, why, and exactly what would be done."""

    kind: Kind
    person: Person
    reason: str
    parts: tuple[str, ...]
    """Everything that says what will be done; approved is this and nothing else."""
    told: tuple[str, ...]
    """The same for people."""

    @property
    def content(self) -> str:
        """The hash that an approval is bound to."""
        return content_hash(self.kind, self.parts)


@dataclass(frozen=True, slots=True)
class Clearance:
    """Who does a deed, and the desk that clears it: what a deed is given to ask right before it is done."""

    desk: ApprovalDesk
    person: Person

    def of(self, kind: Kind, reason: str, parts: Sequence[str], told: Sequence[str]) -> str | None:
        """The approval that is used up; raises as `ApprovalDesk.clear`."""
        return self.desk.clear(Intent(kind, self.person, reason, tuple(parts), tuple(told)))


class ApprovalDesk:
    """Reads and writes approvals in `audit.events`; keeps nothing between two calls."""

    def __init__(self, cluster: Cluster, policy: ApprovalPolicy, audit: AuditWriter | None = None) -> None:
        """`audit` is the writer of a process that has one; without, each event is a chain of its own."""
        self._cluster, self._policy, self._audit = cluster, policy, audit

    def clear(self, intent: Intent) -> str | None:
        """Called right before a deed: gives the approval that it uses up, None where the policy wants no second person.

        Raises:
            ApprovalNeeded: nobody has approved exactly this yet; it is asked for now, or was before.
            ConfigurationError: the person may not ask for it.
            Transient: Kafka or the registry does not answer; nothing may be done.
        """
        if not self._policy.terms(intent.kind).two_people:
            return None
        self._policy.require_may_ask(intent.kind, intent.person)
        request = self._open_request(intent)
        if request is None:
            request_id = self._ask(intent)
            raise ApprovalNeeded(
                f"{intent.kind} needs a second person ({self._roles(intent.kind)}): asked for as {request_id}. "
                f"Once it is approved (`ordersync approvals approve {request_id}`, or /approvals in the console), do "
                "the same again",
                request_id=request_id,
            )
        if request.state is State.WAITS:
            raise ApprovalNeeded(
                f"{intent.kind} {request.request_id} still waits for a second person ({self._roles(intent.kind)})",
                request_id=request.request_id,
            )
        self._use(intent, request)
        return request.request_id

    def requests(self) -> list[Request]:
        """Every request as it stands now, newest first. Raises Transient while Kafka or the registry is away."""
        now, hours = datetime.now(UTC), self._policy.expires_hours
        return [one.at(now, hours) for one in reversed(requests_of(self._events()).values())]

    def may_decide(self, request: Request, person: Person) -> bool:
        """Whether somebody could approve or reject it, for pages that show the buttons."""
        return request.state is State.WAITS and self._policy.may_decide(request.kind, request.requester, person)

    def decide(self, request_id: str, person: Person, reason: str, *, approve: bool) -> Request:
        """Approve or reject a request; called by `ordersync approvals` and the console.

        Raises:
            ConfigurationError: there is none that waits, or this person may not decide it.
            Transient: Kafka or the registry does not answer; nothing is decided.
        """
        request = self._request(request_id)
        if request.state is not State.WAITS:
            raise ConfigurationError(f"{request_id} does not wait any more: it is {request.state}")
        self._policy.require_may_decide(request.kind, request.requester, person)
        action = APPROVED if approve else REJECTED
        self._write(person, action, request.kind, request_id, reason, [f"as {person.role}", self._policy.told])
        decided = self._request(request_id)
        if decided.decider != person.name or decided.decision != reason:
            raise ConfigurationError(f"{request_id} was decided by {decided.decider} at the same moment")
        return decided

    def request_file(self, kind: Kind, digest: str, person: Person, reason: str, name: str) -> str:
        """Ask for a change that is a file; `ordersync approvals check` holds the file against it before a rollout."""
        intent = Intent(kind, person, reason, (digest,), (f"{name}, SHA-256 {digest}",))
        self._policy.require_may_ask(kind, person)
        request = self._open_request(intent)
        return self._ask(intent) if request is None else request.request_id

    def approval_of_file(self, kind: Kind, digest: str) -> Request | None:
        """The approval of a file with this hash; it does not expire, for what was approved stays in use."""
        content = content_hash(kind, (digest,))
        found = requests_of(self._events()).values()
        return next((one for one in found if one.content == content and one.state is State.APPROVED), None)

    def _open_request(self, intent: Intent) -> Request | None:
        mine = [
            one
            for one in self.requests()
            if (one.kind, one.content) == (intent.kind, intent.content) and one.requester == intent.person.name
        ]
        open_ones = [one for one in mine if one.state in (State.APPROVED, State.WAITS)]
        return next((one for one in open_ones if one.state is State.APPROVED), open_ones[0] if open_ones else None)

    def _ask(self, intent: Intent) -> str:
        return self._write(intent.person, REQUESTED, intent.kind, intent.content, intent.reason, intent.told).audit_id

    def _use(self, intent: Intent, request: Request) -> None:
        """Two who use it at once both write; who is first on the topic has used it, the other reads so."""
        told = [f"approved by {request.decider}", self._policy.told]
        mine = self._write(intent.person, USED, intent.kind, request.request_id, intent.reason, told)
        if self._request(request.request_id).use_id != mine.audit_id:
            raise ConfigurationError(f"{request.request_id} was used at the same moment; it serves once: ask again")

    def _request(self, request_id: str) -> Request:
        for one in self.requests():
            if one.request_id == request_id:
                return one
        raise ConfigurationError(f"there is no request {request_id}; `ordersync approvals list` shows their ids")

    def _roles(self, kind: Kind) -> str:
        return " or ".join(sorted(self._policy.terms(kind).approve))

    def _write(
        self, person: Person, action: str, kind: Kind, reference: str, reason: str, told: Sequence[str]
    ) -> AuditEvent:
        deed = Deed(
            person.name,
            action,
            subject_of(kind),
            reference,
            reason,
            list(told),
            identified_by=person.actor.identified_by,
        )
        if self._audit is not None:
            return self._audit.record(deed)[0]
        with (
            closing(SchemaRegistry(self._cluster.registry)) as registry,
            AuditWriter(self._cluster.kafka, registry, _CLIENT_ID) as audit,
        ):
            [event] = audit.record(deed, wait_seconds=_WAIT_SECONDS)
        return event

    def _events(self) -> list[AuditEvent]:
        with closing(SchemaRegistry(self._cluster.registry)) as registry:
            codec = TopicCodec(AUDIT, AuditEvent, registry)
            records = read_raw(self._cluster, AUDIT)
            return [codec.decode(one.value) for one in records if one.value and is_about_approvals(one.key)]


def clearance_of(home: Path, cluster: Cluster, actor: Actor) -> Clearance:
    """Somebody on the command line, under the policy in force there. Raises ConfigurationError for a wrong policy."""
    policy = ApprovalPolicy.of(home)
    return Clearance(ApprovalDesk(cluster, policy), policy.person(actor))
