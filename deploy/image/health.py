"""`python -m deploy.image.health`: whether the worker of this container is ready; needs no shell and no curl."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException

_TIMEOUT_SECONDS = 4.0
_PORT = "ORDERSYNC_METRICS_PORT"


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if `/health/ready` (or `/health/live`, with the argument `live`) answers 200, else 1.

    The container's engine calls it; it prints what was answered. 2 for a wrong call.
    """
    asked = arguments[0] if arguments else "ready"
    port = os.environ.get(_PORT, "")
    if asked not in ("ready", "live") or len(arguments) > 1 or not port.isdecimal() or port == "0":
        sys.stderr.write(f"usage: python -m deploy.image.health [ready|live]; {_PORT} is the worker's port\n")
        return 2
    connection = HTTPConnection("127.0.0.1", int(port), timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"/health/{asked}")
        answer = connection.getresponse()
        sys.stdout.write(f"{answer.status} {answer.read().decode(errors='replace').strip()}\n")
        return 0 if answer.status == 200 else 1
    except (OSError, HTTPException) as exc:
        sys.stdout.write(f"nobody answers on port {port}: {exc}\n")
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
