"""A real Prometheus that watches a landscape."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Self

import httpx

from deploy.local.ports import free_port
from deploy.local.server import await_condition

Labels = tuple[tuple[str, str], ...]
_START_SECONDS = 120.0


class Prometheus:
    """Runs with a configuration while the block lasts."""

    def __init__(self, configuration: Path, data: Path) -> None:
        self._port = free_port()
        self._log = data.with_suffix(".log")
        argv = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={data}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*argv, f"--web.listen-address=127.0.0.1:{self._port}"], stdout=log, stderr=log
            )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", trust_env=False, timeout=60)

    def __enter__(self) -> Self:
        assert await_condition(self._answers, _START_SECONDS), self._log.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(60)

    def ask(self, expr: str) -> dict[Labels, float]:
        """The value of each series now, by its labels without `__name__`."""
        answer = self._client.get("/api/v1/query", params={"query": expr}).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return {_labels(one["metric"]): float(one["value"][1]) for one in found}

    def alerts(self, expr: str = "ALERTS") -> set[tuple[str, str]]:
        """Name and state of the alerts that an expression gives."""
        return {(dict(one)["alertname"], dict(one)["alertstate"]) for one in self.ask(expr)}

    def unsound_rules(self) -> list[dict[str, Any]]:
        """Rules that could not be evaluated."""
        groups = self._client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]

    def _answers(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False


def _labels(metric: dict[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in metric.items() if name != "__name__"))
