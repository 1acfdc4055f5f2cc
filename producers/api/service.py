"""What the routes work with, and how they answer a request that was taken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fastapi.responses import Response

from producers.api import answers
from producers.api.access import Access
from producers.api.answering import AnswerIntake
from producers.api.clients import Clients
from producers.api.guard import BodyLimits
from producers.api.intake import Intake, Taken, Unchanged
from producers.api.orders import Orders, Progress, RequestStatus
from producers.api.shop_letters import Letters
from producers.api.shops import Shops
from producers.upload_spool import UploadSpool

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Service:
    """The two sides of the API, who may use it, and its limits."""

    intake: Intake
    orders: Orders
    clients: Clients
    limits: BodyLimits
    bulk_limit_orders: int
    wait_limit_seconds: float
    access: Access
    vendor_answers: AnswerIntake
    shops: Shops = field(default_factory=Shops)
    letters: Letters | None = None
    """Where the webhooks of shops are kept that no mapping reads; None refuses them."""
    uploads: UploadSpool | None = None
    """Where documents are handed over; None where none are taken."""

    async def answer(self, taken: Taken | Unchanged, prefer: str | None) -> Response:
        """The answer to a request that was taken; waits for its effect where the caller prefers that (RFC 7240).

        Raises:
            Problem: the caller waited, and the request came to nothing.
        """
        if isinstance(taken, Unchanged):
            return answers.order_response(taken.state)
        request, headers = taken.request, dict[str, str]()
        if taken.is_replay:
            headers["Idempotent-Replayed"] = "true"
        seconds = self.wait_seconds(prefer)
        if seconds is not None:
            headers["Preference-Applied"] = f"wait={seconds:g}"
            status = await self.orders.outcome(request, seconds)
            return answers.outcome_response(status, self.orders.order(request.order_id), headers)
        fresh = RequestStatus(request, Progress.ACCEPTED)
        return answers.accepted_response(self.orders.status(request) if taken.is_replay else fresh, headers)

    def wait_seconds(self, prefer: str | None) -> float | None:
        """How long the caller prefers to wait; None where it does not."""
        found = None if prefer is None else _WAIT.search(prefer)
        return None if found is None else min(float(found.group(1)), self.wait_limit_seconds)
