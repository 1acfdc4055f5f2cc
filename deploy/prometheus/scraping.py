"""Writes the files with which a Prometheus finds the workers of this machine and judges them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.prometheus.rules import RULES_FILE

JOB: Final = "ordersync"
"""The job that rules and dashboards ask for; each of its targets has a label `worker`."""
_INTERVAL_SECONDS: Final = 5


def write_scrape_files(home: Path, ports: Mapping[str, int], *, rules: Path = RULES_FILE) -> Path:
    """Write `prometheus/prometheus.yml` and `prometheus/workers.json` in a home; the first one's path comes back.

    Called by the launcher when the ports of its workers (by name) are known. A running Prometheus notices new targets
    by itself.
    """
    directory = home / "prometheus"
    directory.mkdir(exist_ok=True)
    targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"worker": worker}} for worker, port in ports.items()]
    (directory / "workers.json").write_text(json.dumps(targets, indent=2) + "\n")
    configuration = directory / "prometheus.yml"
    configuration.write_text(
        "# Written by `ordersync up`. prometheus --config.file=THIS --storage.tsdb.path=DIRECTORY\n"
        f"global: {{scrape_interval: {_INTERVAL_SECONDS}s, evaluation_interval: {_INTERVAL_SECONDS}s}}\n"
        f"rule_files: [{json.dumps(str(rules))}]\n"
        "scrape_configs:\n"
        f"  - job_name: {JOB}\n"
        "    file_sd_configs:\n"
        "      - files: [workers.json]\n"
        "        refresh_interval: 5s\n"
    )
    return configuration
