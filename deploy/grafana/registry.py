"""Every dashboard of ordersync."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.grafana.backup import BACKUP
from deploy.grafana.finance import FINANCE
from deploy.grafana.flow import FLOW
from deploy.grafana.quality import QUALITY
from deploy.grafana.workers import WORKERS

DASHBOARDS: Final = (FLOW, QUALITY, FINANCE, BACKUP, WORKERS)
DIRECTORY: Final = Path(__file__).with_name("dashboards")
"""The generated JSON, one file for each."""
