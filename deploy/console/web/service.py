"""What every page works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.audit.desk import ApprovalDesk
from deploy.commands.options import Cluster
from deploy.console.flow.sampling import FlowSampler
from deploy.console.index.following import IndexFeed
from deploy.console.index.questions import Questions
from deploy.console.people.sessions import Sessions
from deploy.console.people.throttle import SignInThrottle
from deploy.console.people.users import Users
from deploy.console.reviews import ReviewDesk
from deploy.console.settings import ConsoleSettings
from deploy.console.weeks import WeeksDesk
from producers.auditing import AuditWriter
from producers.sightings import Sightings
from streams.rules.ruleset import RuleSet

if TYPE_CHECKING:
    from deploy.console.archive import ArchiveView


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one console."""

    settings: ConsoleSettings
    users: Users
    sessions: Sessions
    throttle: SignInThrottle
    audit: AuditWriter
    questions: Questions
    feed: IndexFeed
    flow: FlowSampler
    rules: RuleSet
    weeks: WeeksDesk
    archive: ArchiveView | None
    reviews: ReviewDesk | None
    sightings: Sightings
    approvals: ApprovalDesk

    @property
    def cluster(self) -> Cluster:
        """The cluster that the pages speak of."""
        return Cluster(self.settings.kafka, self.settings.registry)
