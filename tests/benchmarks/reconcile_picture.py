"""A picture in which every order counts as compared, taken from what the databases say now."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context

from prometheus_client import CollectorRegistry

from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.hashes import BUCKETS, RowHashes
from consumers.reconcile.metrics import ReconcileMetrics
from consumers.reconcile.picture import Changes, HashedPlace, Part, Picture
from consumers.reconcile.settings import ContinuousSettings
from consumers.reconcile.watched import Watched
from consumers.reconcile.worker import open_rounds
from schemas.registry import SchemaRegistry

_AT_ONCE = 5_000


def take_as_compared(settings: ContinuousSettings) -> None:
    """Read `orders.state` and every row's hash, and leave the picture behind as if every order agreed.

    In a process of its own, so that it does not count as the memory of whoever measures.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        process.submit(_take, settings).result()


def _take(settings: ContinuousSettings) -> None:
    metrics = ReconcileMetrics(CollectorRegistry())
    with (
        closing(SchemaRegistry(settings.registry)) as registry,
        closing(Watched(settings)) as watched,
        open_rounds(settings, watched, registry, metrics) as rounds,
    ):
        company = rounds.company
        for _ in company.following.advance():
            pass
        parts = {name: part.hashes for name, part in company.sources.parts.items()}
        for name, hashes in (parts | watched.hashes).items():
            _remember(company.picture, name, hashes)
        rounds.flush()


def _remember(picture: Picture, part: Part, hashes: RowHashes) -> None:
    is_sink = part in (ERP, LEDGER)
    rows = hashes.of_buckets(range(BUCKETS))
    while several := list(islice(rows, _AT_ONCE)):
        order_ids = [row.key if is_sink else f"crm:{row.key}" for row in several]
        marks = picture.marks(order_ids)
        for order_id, row in zip(order_ids, several, strict=True):
            mark = replace(marks[order_id], is_settled=True, sinks_agree=True)
            marks[order_id] = mark if is_sink else replace(mark, places=(*mark.places, (part, row.key)))
        places = [HashedPlace(part, row.key, row, order_id) for order_id, row in zip(order_ids, several, strict=True)]
        picture.write(Changes(places=places, marks=marks))
