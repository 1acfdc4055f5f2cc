"""The log of a worker's process: lines for people, or one JSON object a line for machines."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import IO

import orjson

_QUIET = ("httpx", "httpcore", "asyncio", "faust", "mode")


class JsonLines(logging.Formatter):
    """`at`, `level`, `worker`, `logger`, `message` and, where there is one, `error`."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "worker": self._worker,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return orjson.dumps(entry).decode()


class TextLines(logging.Formatter):
    """Time in UTC, level, worker and message."""

    def __init__(self, worker: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {worker}: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """ISO 8601 with milliseconds."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def configure_logs(worker: str, log_format: str, stream: IO[str] | None = None) -> None:
    """Send everything of level INFO and above to standard error; libraries from WARNING on.

    Called once by a worker's process before it builds its worker. `log_format` is text or json.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(worker) if log_format == "json" else TextLines(worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
