"""Times on the command line: ISO 8601, UTC where no zone is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click


class Instant(click.ParamType):
    """`2026-11-21`, `2026-11-21T06:00` or `2026-11-21T06:00:00+01:00`; gives an aware time in UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, or click's own error."""
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write it as 2026-11-21 or 2026-11-21T06:00:00+01:00", param, ctx)


INSTANT = Instant()
