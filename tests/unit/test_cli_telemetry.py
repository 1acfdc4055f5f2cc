"""What a worker's process shows: metrics, health and log lines."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from deploy.demo.gauges import gauges_of, quantile
from deploy.telemetry.logs import configure_logs
from deploy.telemetry.server import TelemetryServer
from schemas import metrics
from schemas.errors import ConfigurationError


@pytest.fixture
def root_log() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


def test_metrics_and_health_over_http() -> None:
    registry, ready = CollectorRegistry(), [False]
    Counter("seen_total", "Seen", registry=registry).inc(3)
    with TelemetryServer("127.0.0.1", 0, registry, lambda: ready[0]) as server:
        address = f"http://127.0.0.1:{server.port}"
        with httpx.Client(trust_env=False) as client:
            assert "seen_total 3.0" in client.get(f"{address}/metrics").text
            assert client.get(f"{address}/health/live").status_code == 200
            assert client.get(f"{address}/health/ready").status_code == 503
            assert "ordersync_worker_ready 0.0" in client.get(f"{address}/metrics").text
            ready[0] = True
            assert client.get(f"{address}/health/ready").status_code == 200
            assert "ordersync_worker_ready 1.0" in client.get(f"{address}/metrics").text
            assert client.get(f"{address}/else").status_code == 404


def test_a_taken_port_is_a_configuration_error() -> None:
    registry = CollectorRegistry()
    with (
        TelemetryServer("127.0.0.1", 0, registry, lambda: True) as first,
        pytest.raises(ConfigurationError, match="ORDERSYNC_METRICS_PORT"),
    ):
        TelemetryServer("127.0.0.1", first.port, registry, lambda: True)


def test_json_lines_carry_message_and_error(root_log: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logs("erp", "json", stream)
    try:
        raise ValueError("broken")
    except ValueError:
        root_log.exception("could not %s", "write")
    entry = json.loads(stream.getvalue())
    assert (entry["worker"], entry["level"], entry["message"]) == ("erp", "error", "could not write")
    assert "ValueError: broken" in entry["error"]
    assert entry["at"].endswith("+00:00")


def test_text_lines_name_the_worker(root_log: logging.Logger) -> None:
    stream = io.StringIO()
    configure_logs("erp", "text", stream)
    root_log.info("started")
    assert stream.getvalue().endswith("INFO    erp: started\n")


def test_gauges_are_read_back_from_metrics() -> None:
    registry = CollectorRegistry()
    events = Counter(metrics.EVENTS_TOTAL.name, "x", metrics.EVENTS_TOTAL.labels, registry=registry)
    events.labels("erp", "written").inc(5)
    events.labels("erp", "refused").inc(1)
    Gauge(metrics.PARKED_ORDERS.name, "x", registry=registry).set(5)
    latency = metrics.EVENT_LATENCY_SECONDS
    histogram = Histogram(latency.name, "x", latency.labels, buckets=latency.buckets, registry=registry)
    for seconds in (0.02, 0.02, 0.2, 0.2):
        histogram.labels("erp").observe(seconds)
    from prometheus_client import generate_latest

    gauges = gauges_of("erp", True, generate_latest(registry).decode())
    assert gauges.outcomes == {"written": 5, "refused": 1}
    assert gauges.parked == 5
    assert quantile(gauges.latency_buckets, 0.5) == pytest.approx(0.025)
    assert quantile(gauges.latency_buckets, 0.75) == pytest.approx(0.175)


def test_quantile_since_a_beginning_and_of_nothing() -> None:
    before = {1.0: 10.0, 2.0: 10.0, float("inf"): 10.0}
    after = {1.0: 10.0, 2.0: 20.0, float("inf"): 20.0}
    assert quantile(after, 0.5, before) == pytest.approx(1.5)
    assert quantile(before, 0.5, before) is None
    assert quantile({1.0: 0.0, float("inf"): 4.0}, 0.5) == 1.0


def test_a_worker_whose_environment_is_away_waits_and_stops_on_sigterm() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "ORDERSYNC_REGISTRY__URL": "http://127.0.0.1:9/apis",
        "ORDERSYNC_LOG_FORMAT": "json",
        "PYTHONUNBUFFERED": "1",
    }
    argv = [sys.executable, "-m", "deploy.cli", "worker", "backup"]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        messages = []
        for line in process.stderr:
            messages.append(json.loads(line)["message"])
            if "trying again" in messages[-1]:
                process.send_signal(signal.SIGTERM)
                break
        messages += [json.loads(line)["message"] for line in process.stderr]
        assert process.wait(20) == 0
    assert messages[0].startswith("metrics on port")
    assert messages[-1] == "stopped"
