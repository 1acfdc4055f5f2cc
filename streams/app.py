"""The Faust app of the stream worker: `faust -A streams.app worker`, or `ordersync worker streams`.

As Faust's command line wants, importing this module reads the settings and makes the app; nothing connects yet.
"""

from __future__ import annotations

import faust
from faust.types import StreamT

from schemas.topics import CAPTURED_TOPICS, LARGEST_RECORD_BYTES
from streams.engine import Engine
from streams.settings import StreamsSettings
from streams.transport import Batch, Delivery, TransportOptions, batch_topic, batches, new_app, output_of

settings = StreamsSettings.load()
engine = Engine(settings, lambda: output_of(app))
app: faust.App = new_app(
    settings.group,
    settings.kafka,
    TransportOptions(
        client_config={"message.max.bytes": LARGEST_RECORD_BYTES},
        slot=settings.slot,
        delivery=Delivery(settings.delivery),
        commit_interval_seconds=settings.commit_interval_seconds,
        idle_commit_interval_seconds=settings.idle_commit_interval_seconds,
    ),
    engine,
)


@app.agent(batch_topic(app, *CAPTURED_TOPICS))
async def orders(stream: StreamT[Batch]) -> None:
    """Every captured event of the assigned partitions, batch after batch."""
    async for batch in batches(stream):
        await engine.handle(batch)


@app.task  # type: ignore[untyped-decorator]
async def tend() -> None:
    """What happens without a batch: arrivals of master data, deadlines."""
    await engine.tend()
