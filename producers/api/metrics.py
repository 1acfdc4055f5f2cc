"""What an API worker counts."""

from __future__ import annotations

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ApiMetrics:
    """The instruments of one worker; `registry` is what its `/metrics` shows."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "ordersync_api_answers_total", "Answers by method and status", ("method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "ordersync_api_answer_seconds", "Time to the answer", ("method",), registry=registry, buckets=_BUCKETS
        )


class Measured:
    """An application whose answers are counted."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, method = perf_counter(), _method(scope)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answers.labels(method, message["status"]).inc()
                self._metrics.seconds.labels(method).observe(perf_counter() - began)
            await send(message)

        await self._app(scope, receive, noted)


def _method(scope: Scope) -> str:
    """One of few: a label must not be what anybody sends."""
    return scope["method"] if scope["method"] in ("GET", "POST", "PUT") else "other"
