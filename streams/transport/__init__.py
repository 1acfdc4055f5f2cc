"""A Faust transport that hands over whole batches and commits outputs with offsets in one transaction."""

from __future__ import annotations

from streams.transport.batch import Assignment, Batch, Generation, Record
from streams.transport.driver import Transport, configure
from streams.transport.options import Delivery, NoHooks, PartitionHooks, TransportOptions
from streams.transport.output import Output
from streams.transport.worker import batch_topic, batches, engine_settings, new_app, output_of, run_worker

__all__ = [
    "Assignment",
    "Batch",
    "Delivery",
    "Generation",
    "NoHooks",
    "Output",
    "PartitionHooks",
    "Record",
    "Transport",
    "TransportOptions",
    "batch_topic",
    "batches",
    "configure",
    "engine_settings",
    "new_app",
    "output_of",
    "run_worker",
]
