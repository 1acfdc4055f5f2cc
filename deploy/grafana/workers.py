"""Workers: which processes run, and what they need."""

from __future__ import annotations

from deploy.grafana.declarations import Dashboard, Panel, Query, Shape

_JOB = '{job="ordersync"}'

WORKERS = Dashboard(
    "workers",
    "Workers",
    "Which processes run, and what do they need?",
    (
        Panel(
            "Do not answer",
            "How many workers does Prometheus not reach?",
            (Query(f"count(up{_JOB} == 0) or vector(0)"),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Not ready",
            "How many run, but do not do their work?",
            (Query("count(ordersync_worker_ready == 0) or vector(0)"),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Alerts",
            "How many alerts fire now?",
            (Query('count(ALERTS{alertname=~"Ordersync.*",alertstate="firing"}) or vector(0)'),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Workers",
            "How many does Prometheus know?",
            (Query(f"count(up{_JOB})"),),
            "short",
            Shape.FIGURE,
        ),
        Panel("Ready", "Which work (1)?", (Query("max by (worker) (ordersync_worker_ready)", "{{worker}}"),)),
        Panel(
            "Time since the start",
            "Which were started again?",
            (Query(f"time() - max by (worker) (process_start_time_seconds{_JOB})", "{{worker}}"),),
            "s",
        ),
        Panel(
            "Processor",
            "How many cores does each use?",
            (Query(f"sum by (worker) (rate(process_cpu_seconds_total{_JOB}[1m]))", "{{worker}}"),),
        ),
        Panel(
            "Memory",
            "How much memory does each hold?",
            (Query(f"sum by (worker) (process_resident_memory_bytes{_JOB})", "{{worker}}"),),
            "bytes",
        ),
        Panel(
            "Open files",
            "Does one leak them?",
            (Query(f"sum by (worker) (process_open_fds{_JOB})", "{{worker}}"),),
        ),
        Panel(
            "Retries",
            "How many records of a batch that failed are tried again, in a second?",
            (Query('sum by (stage) (rate(ordersync_events_total{outcome="retried"}[5m]))', "{{stage}}"),),
            "ops",
        ),
    ),
)
