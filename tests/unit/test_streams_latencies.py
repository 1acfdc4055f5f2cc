"""The latencies of the stream processor, against prometheus_client's own histogram."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas import metrics
from streams.latencies import Latencies

NOW = 1_800_000_000_000_000
BOUNDS = [round(bound * 1_000_000) for bound in metrics.EVENT_LATENCY_SECONDS.buckets]
micros = st.one_of(st.integers(-2_000_000, 400_000_000), st.sampled_from(BOUNDS))


def shown(registry: CollectorRegistry) -> dict[tuple[str, str | None], float]:
    """The samples as a scraper reads them."""
    return {
        (sample.name, sample.labels.get("le")): round(sample.value, 6)
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.lists(micros, max_size=20), max_size=5))
def test_batches_are_counted_as_one_event_after_the_other_would_be(batches: list[list[int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    latencies = Latencies("streams", ours)
    instrument = metrics.EVENT_LATENCY_SECONDS
    histogram = Histogram(
        instrument.name, instrument.help, instrument.labels, buckets=instrument.buckets, registry=theirs
    ).labels("streams")
    for batch in batches:
        latencies.count([NOW - took for took in batch], NOW)
        for took in batch:
            histogram.observe(max(0, took) / 1_000_000)
    assert shown(ours) == shown(theirs)
