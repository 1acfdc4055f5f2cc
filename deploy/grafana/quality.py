"""Quality: what differs, what was refused, what waits."""

from __future__ import annotations

from deploy.grafana.declarations import Dashboard, Panel, Query, Shape

QUALITY = Dashboard(
    "quality",
    "Quality",
    "What differs, what was refused, what waits, and why?",
    (
        Panel(
            "Open mismatches",
            "How many differences between systems are open?",
            (Query("sum(ordersync_mismatches) or vector(0)"),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Orders that agree",
            "Which share of orders agrees in all systems? The objective is 99.9 %.",
            (Query("1 - (sum(ordersync_mismatches) or vector(0)) / clamp_min(sum(ordersync_reconciled_orders), 1)"),),
            "percentunit",
            Shape.FIGURE,
        ),
        Panel(
            "Refused in an hour",
            "How many events became dead letters?",
            (Query('sum(increase(ordersync_events_total{outcome=~"rejected|refused"}[1h]))'),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Parked orders",
            "How many orders wait for a customer, product or rate?",
            (Query("sum(ordersync_parked_orders)"),),
            "short",
            Shape.FIGURE,
        ),
        Panel(
            "Mismatches by system and kind",
            "Where do orders differ, and how?",
            (Query("sum by (system, kind) (ordersync_mismatches)", "{{system}}: {{kind}}"),),
        ),
        Panel(
            "Mismatches by cause",
            "What most likely led to them? Mend what leads.",
            (Query("sum by (cause) (ordersync_mismatch_causes)", "{{cause}}"),),
        ),
        Panel(
            "Money at stake",
            "What do open differences amount to?",
            (Query("sum by (system, currency) (ordersync_mismatch_amount)", "{{system}}: {{currency}}"),),
        ),
        Panel(
            "Dead letters by rule",
            "Which rule refuses, and how often in an hour?",
            (Query("sum by (rule) (increase(ordersync_dead_letters_total[1h]))", "{{rule}}"),),
        ),
        Panel(
            "Outcomes of the streams",
            "What becomes of captured events, in a second?",
            (Query('sum by (outcome) (rate(ordersync_events_total{stage="streams"}[5m]))', "{{outcome}}"),),
            "ops",
        ),
        Panel(
            "Longest waiting order",
            "For how long has it waited? After a day it is refused.",
            (Query("time() - min(ordersync_parked_oldest_timestamp_seconds > 0) or vector(0)"),),
            "s",
            red_from=4 * 3600,
        ),
        Panel(
            "Age of the last comparison",
            "When were the systems last compared: what changed, everything, the sources?",
            (Query("time() - max by (round) (ordersync_reconciled_timestamp_seconds)", "{{round}}"),),
            "s",
        ),
        Panel(
            "Duration of a comparison",
            "How long does a round take?",
            (Query("max by (round) (ordersync_reconcile_round_seconds)", "{{round}}"),),
            "s",
        ),
    ),
)
