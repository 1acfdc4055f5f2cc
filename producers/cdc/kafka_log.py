"""Where librdkafka's own lines go: into the worker's log, in its format, instead of standard error."""

from __future__ import annotations

import logging
from typing import Final

_NAME: Final = "producers.cdc.librdkafka"
_CHOSEN: Final = "enable.gapless.guarantee is experimental"


class _Expected(logging.Filter):
    """Leaves out what librdkafka warns of at each start and the capture has chosen knowingly."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _CHOSEN not in record.getMessage()


def kafka_log() -> logging.Logger:
    """The logger that each client of the capture is made with.

    A client's lines come out while it is polled, and count there as events: see `Publisher.poll`.
    """
    log = logging.getLogger(_NAME)
    if not log.filters:
        log.addFilter(_Expected())
    return log
