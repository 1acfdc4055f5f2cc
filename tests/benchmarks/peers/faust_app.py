"""The app of both plain Faust peers: the settings that suit Faust best."""

from __future__ import annotations

import json
import os
from typing import Any

import faust


def settings() -> dict[str, Any]:
    """What the benchmark tells the process."""
    found: dict[str, Any] = json.loads(os.environ["BENCH"])
    return found


def peer_app() -> faust.App:
    """An app in the group, on the brokers and with the directory that the benchmark tells."""
    told = settings()
    return faust.App(
        told["group"],
        broker=f"kafka://{told['servers']}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=16_384,
        broker_max_poll_records=1_000,
        producer_linger=0.02,
        producer_max_batch_size=1_048_576,
        producer_compression_type="lz4",
        datadir=told["datadir"],
    )
