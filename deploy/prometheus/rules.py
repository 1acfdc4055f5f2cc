"""Where the alert rules are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

RULES_FILE: Final = Path(__file__).with_name("ordersync.rules.yml")
"""Recording and alert rules; loaded by any Prometheus that scrapes the workers as job `ordersync`."""
