"""Backup: what is archived, proved and rehearsed."""

from __future__ import annotations

from deploy.grafana.declarations import Dashboard, Panel, Query, Shape

_DRILL = "max(ordersync_backup_drill_timestamp_seconds{outcome="

BACKUP = Dashboard(
    "backup",
    "Backup",
    "How much would be lost, and was a restore rehearsed?",
    (
        Panel(
            "Would be lost",
            "How old is the newest moment that can be restored from outside Kafka?",
            (Query('time() - max(ordersync_complete_through_timestamp_seconds{sink="archive"})'),),
            "s",
            Shape.FIGURE,
            1800,
        ),
        Panel(
            "Newest proved commit",
            "Which commit of the archive did the keeper prove and sign last?",
            (Query("max(ordersync_backup_published_commit)"),),
            "short",
            Shape.FIGURE,
        ),
        Panel(
            "Missing files",
            "How many files lacks the worst copy?",
            (Query("max(ordersync_backup_copy_behind_files)"),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Rehearsal overdue",
            "Is the last rehearsal of a restore older than the policy allows (1)?",
            (Query("max(ordersync_backup_drill_overdue)"),),
            "short",
            Shape.FIGURE,
            1,
        ),
        Panel(
            "Archived events",
            "How many records go into the archive in a second?",
            (Query('sum(rate(ordersync_events_total{stage="archive"}[5m]))', "records"),),
            "ops",
        ),
        Panel(
            "Bytes and commits",
            "How much goes into each copy in a second, and how often is it committed?",
            (
                Query("sum(rate(ordersync_backup_bytes_total[5m]))", "bytes/s"),
                Query("sum(rate(ordersync_backup_commits_total[5m]))", "commits/s"),
            ),
        ),
        Panel(
            "Files that copies lack",
            "Is a copy away?",
            (Query("max by (copy) (ordersync_backup_copy_behind_files)", "{{copy}}"),),
        ),
        Panel(
            "Last rehearsals",
            "When did a restore last pass, and when did one fail?",
            (
                Query(f'{_DRILL}"passed"}}) * 1000', "passed"),
                Query(f'{_DRILL}"failed"}}) * 1000', "failed"),
            ),
            "dateTimeAsIso",
            Shape.BARS,
        ),
    ),
)
