"""A picture in which every order counts as compared, taken from what the databases say now."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import get_context

from prometheus_client import CollectorRegistry

from consumers.reconcile.abreast import asking_abreast
from consumers.reconcile.comparison import ERP, LEDGER
from consumers.reconcile.hashes import BUCKETS, RowHash, RowHashes
from consumers.reconcile.metrics import ReconcileMetrics
from consumers.reconcile.picture import Changes, HashedPlace, Part, Picture
from consumers.reconcile.sections import SectionedState
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
        hashes = {name: part.hashes for name, part in company.sources.parts.items()} | watched.hashes
        with asking_abreast() as ask:
            asked = {name: ask(partial(_by_order, name, one)) for name, one in hashes.items()}
        states = SectionedState(watched.sources, registry)
        _remember(company.picture, states, {name: answer.result() for name, answer in asked.items()})
        rounds.flush()


def _by_order(part: Part, hashes: RowHashes) -> dict[str, RowHash]:
    prefix = "" if part in (ERP, LEDGER) else "crm:"
    return {prefix + row.key: row for row in hashes.of_buckets(range(BUCKETS))}


def _remember(picture: Picture, states: SectionedState, rows: dict[Part, dict[str, RowHash]]) -> None:
    """All that is known of an order at once: its mark is written again with each place otherwise."""
    order_ids = iter(rows[ERP])
    while several := list(islice(order_ids, _AT_ONCE)):
        changes = Changes(marks=picture.marks(several))
        values = picture.states(several)
        for order_id in several:
            own = [HashedPlace(part, found[order_id].key, found[order_id], order_id) for part, found in rows.items()]
            places = tuple((place.part, place.key) for place in own if place.part not in (ERP, LEDGER))
            _, sections = states.decode(values[order_id] or b"")
            changes.marks[order_id] = replace(
                changes.marks[order_id], is_settled=True, sinks_agree=True, places=places, sections=sections
            )
            changes.places += own
        picture.write(changes)
