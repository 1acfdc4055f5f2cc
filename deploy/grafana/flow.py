"""Flow: what is where, and how late."""

from __future__ import annotations

from deploy.grafana.declarations import Dashboard, Panel, Query, Shape

_LATENCY = "ordersync_event_latency_seconds_bucket"
_SINKS = 'stage!~"capture|streams"'


def _quantile(share: float) -> str:
    return f"histogram_quantile({share}, sum by (stage, le) (rate({_LATENCY}[5m])))"


FLOW = Dashboard(
    "flow",
    "Flow",
    "What is where, and how late?",
    (
        Panel(
            "Latest effect in all sinks",
            "How far back is the moment up to which every sink has everything?",
            (Query('time() - min(ordersync_complete_through_timestamp_seconds{sink!="archive"})'),),
            "s",
            Shape.FIGURE,
            120,
        ),
        Panel(
            "In time",
            "Which share of events had their effect within 30 s, over the last hour? The objective is 99 %.",
            (
                Query(
                    f'sum(increase({_LATENCY}{{{_SINKS},le="30.0"}}[1h])) / '
                    f"sum(increase(ordersync_event_latency_seconds_count{{{_SINKS}}}[1h]))"
                ),
            ),
            "percentunit",
            Shape.FIGURE,
        ),
        Panel(
            "Waiting records",
            "How many records has some group still to read?",
            (Query("sum(ordersync_consumer_lag_records)"),),
            "short",
            Shape.FIGURE,
        ),
        Panel(
            "Groups that are not fine",
            "How many consumer groups are slow, rewound, stalled or stopped?",
            (Query('sum(ordersync_consumer_standing{standing!="fine"})'),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Events by stage",
            "How many events does each stage handle in a second?",
            (Query("sum by (stage) (rate(ordersync_events_total[1m]))", "{{stage}}"),),
            "ops",
        ),
        Panel(
            "From the commit to the effect, median",
            "How long after the commit in the source does each stage have its effect, for half of the events?",
            (Query(_quantile(0.5), "{{stage}}"),),
            "s",
        ),
        Panel(
            "From the commit to the effect, 99th percentile",
            "The same, for all but one event in a hundred.",
            (Query(_quantile(0.99), "{{stage}}"),),
            "s",
            red_from=30,
        ),
        Panel(
            "Lag of consumer groups in seconds",
            "How old is the oldest record that the group has not read?",
            (Query("max by (group) (ordersync_consumer_lag_seconds)", "{{group}}"),),
            "s",
        ),
        Panel(
            "Lag of consumer groups in records",
            "How many records wait for each group?",
            (Query("sum by (group) (ordersync_consumer_lag_records)", "{{group}}"),),
        ),
        Panel(
            "Complete through",
            "How far behind now is the time up to which each sink has everything?",
            (Query("time() - max by (sink) (ordersync_complete_through_timestamp_seconds)", "{{sink}}"),),
            "s",
            red_from=120,
        ),
        Panel(
            "Log that sources keep",
            "How much of its log does each source keep for its capture?",
            (Query("max by (slot) (ordersync_replication_slot_retained_bytes)", "{{slot}}"),),
            "bytes",
            red_from=4 * 1024**3,
        ),
        Panel(
            "Orders on the way",
            "How many orders has a system not yet, and need not have?",
            (Query("max by (system) (ordersync_orders_on_the_way)", "{{system}}"),),
        ),
    ),
)
