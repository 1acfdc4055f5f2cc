"""For each alert: series with which it fires, and near misses with which it must not; in promtool's notation."""

from __future__ import annotations

from dataclasses import dataclass

Series = dict[str, str]
"""Values at each minute, by series; of a long case at each fifth."""

LATENCY = "ordersync_event_latency_seconds"
THROUGH = "ordersync_complete_through_timestamp_seconds"
AUDITED = "ordersync_audit_verified_timestamp_seconds"
RECONCILED = "ordersync_reconciled_timestamp_seconds"


@dataclass(frozen=True)
class Case:
    """`fires` is the state at `minute`; each of `misses` differs by as little as should keep it silent."""

    alert: str
    minute: int
    fires: Series
    misses: tuple[Series, ...]

    @property
    def is_long(self) -> bool:
        """Whether it is about days, which would take promtool minutes in steps of one."""
        return self.minute >= 300


def late(share_percent: float, per_minute: int = 100, stage: str = "erp", minutes: int = 5000) -> Series:
    """Events of one sink of which so many percent come too late."""
    in_time = per_minute * (1 - share_percent / 100)
    return {
        f'{LATENCY}_bucket{{stage="{stage}",le="30.0"}}': f"0+{in_time:g}x{minutes}",
        f'{LATENCY}_bucket{{stage="{stage}",le="+Inf"}}': f"0+{per_minute}x{minutes}",
        f'{LATENCY}_count{{stage="{stage}"}}': f"0+{per_minute}x{minutes}",
    }


def late_for_a_while(minutes: int) -> Series:
    """All is well but for the first so many minutes of the hour."""
    return {
        f'{LATENCY}_bucket{{stage="erp",le="30.0"}}': f"0+0x{minutes} 0+100x100",
        f'{LATENCY}_count{{stage="erp"}}': "0+100x200",
    }


def differing(orders: float, of: int = 100_000, minutes: int = 5000) -> Series:
    """So many open differences."""
    return {
        'ordersync_mismatches{system="erp",kind="different"}': f"{orders:g}x{minutes}",
        "ordersync_reconciled_orders": f"{of}x{minutes}",
    }


def standing(name: str, values: str) -> Series:
    """How one group does."""
    return {f'ordersync_consumer_standing{{group="ordersync-erp",standing="{name}"}}': values}


def clock(series: str, behind_seconds: int) -> Series:
    """A time that follows the clock at a distance."""
    return {series: f"{-behind_seconds}+60x300"}


def stuck(series: str, at_seconds: int = 0) -> Series:
    """A time that stands still."""
    return {series: f"{at_seconds}x300"}


SINKS = {**clock(f'{THROUGH}{{sink="erp"}}', 1), **clock(f'{THROUGH}{{sink="warehouse"}}', 1)}
ROUNDS = {one: clock(f'{RECONCILED}{{round="{one}"}}', 5) for one in ("steady", "full", "source")}
SLOT = 'ordersync_replication_slot_retained_bytes{slot="s"}'
PRESENT = 'ordersync_replication_slot_present{slot="s",instance="i"}'
GIB = 1024**3
FAST, SLOW = 14.4, 3.0

CASES = [
    Case(
        "OrdersyncFreshnessBurnsFast",
        90,
        late(15),
        (late(5), late_for_a_while(30), late(50, per_minute=0)),
    ),
    Case("OrdersyncFreshnessBurnsFast", 510, late(6.5), (late(5.5),)),
    Case("OrdersyncFreshnessBurnsFast", 90, late(15, stage="warehouse"), (late(15, stage="streams"),)),
    Case("OrdersyncFreshnessBurnsSlowly", 1620, late(3.5), (late(0.9),)),
    Case("OrdersyncFreshnessBurnsSlowly", 4620, late(1.2), (late(0.8),)),
    Case(
        "OrdersyncSinkIncomplete",
        30,
        stuck(f'{THROUGH}{{sink="erp"}}'),
        (clock(f'{THROUGH}{{sink="erp"}}', 110), {f'{THROUGH}{{sink="erp"}}': "0x3 240+60x60"}),
    ),
    Case(
        "OrdersyncSinkSilent",
        30,
        SINKS,
        (SINKS | clock(f'{THROUGH}{{sink="backup"}}', 1), SINKS | {f'{THROUGH}{{sink="backup"}}': "0x10 _x3 0x60"}),
    ),
    Case(
        "OrdersyncAgreementBurnsFast",
        90,
        differing(1500),
        (
            differing(550),
            differing(0),
            # All orders differ, but only for a moment, and no series tells of none.
            differing(0) | {'ordersync_mismatches{system="erp",kind="different"}': "_x87 10000 _x20"},
            differing(0) | {'ordersync_mismatches{system="erp",kind="different"}': "10000x84 0x20"},
        ),
    ),
    Case("OrdersyncAgreementBurnsFast", 510, differing(650), (differing(590),)),
    Case("OrdersyncAgreementBurnsSlowly", 1620, differing(350), (differing(90),)),
    Case("OrdersyncAgreementBurnsSlowly", 4620, differing(120), (differing(95),)),
    Case(
        "OrdersyncMismatchesOpen",
        30,
        differing(1),
        (differing(0), {'ordersync_mismatches{system="erp",kind="different"}': "0 1x13 0 1x14 0x20"}),
    ),
    Case(
        "OrdersyncReconcileStale",
        80,
        ROUNDS["full"] | ROUNDS["source"] | stuck(f'{RECONCILED}{{round="steady"}}', 3600),
        (ROUNDS["steady"] | ROUNDS["full"] | clock(f'{RECONCILED}{{round="source"}}', 3500),),
    ),
    Case("OrdersyncReconcileStale", 80, ROUNDS["steady"] | stuck(f'{RECONCILED}{{round="full"}}'), (ROUNDS["steady"],)),
    Case("OrdersyncReconcileStale", 80, ROUNDS["steady"] | stuck(f'{RECONCILED}{{round="source"}}'), (ROUNDS["full"],)),
    Case("OrdersyncReconcileSilent", 30, {}, (stuck(f'{RECONCILED}{{round="steady"}}'),)),
    Case(
        "OrdersyncLedgerImbalance",
        5,
        {'ordersync_ledger_imbalance{currency="EUR"}': "0x3 0.01x9"},
        ({'ordersync_ledger_imbalance{currency="EUR"}': "0x20"},),
    ),
    *(
        Case(f"OrdersyncConsumer{name.title()}", 10, standing(name, "0x3 1x20"), (standing(name, "0x9 1x1 0x9"),))
        for name in ("stopped", "stalled")
    ),
    Case("OrdersyncConsumerSlow", 30, standing("slow", "0x3 1x60"), (standing("slow", "1x13 0 1x13 0x10"),)),
    Case("OrdersyncConsumerRewound", 5, standing("rewound", "0x3 1x9"), (standing("rewound", "0x9"),)),
    Case(
        "OrdersyncConsumerRewound",
        12,
        {'ordersync_consumer_rewinds_total{group="g"}': "0x9 1x9"},
        ({'ordersync_consumer_rewinds_total{group="g"}': "1x20"},),
    ),
    Case(
        "OrdersyncRecordsExpiredUnread",
        5,
        {'ordersync_consumer_expired_records{group="g",topic="t",partition="0"}': "7x9"},
        ({'ordersync_consumer_expired_records{group="g",topic="t",partition="0"}': "0x9"},),
    ),
    Case(
        "OrdersyncTransactionHangs",
        15,
        {'ordersync_open_transaction_seconds{topic="t",partition="0"}': "0x3 0+15x30"},
        ({'ordersync_open_transaction_seconds{topic="t",partition="0"}': "0 30 60 90 0 30 60 90 0x9"},),
    ),
    Case(
        "OrdersyncLagUnknown",
        30,
        stuck("ordersync_lag_observed_timestamp_seconds"),
        (clock("ordersync_lag_observed_timestamp_seconds", 100),),
    ),
    Case("OrdersyncLagUnknown", 10, {}, (clock("ordersync_lag_observed_timestamp_seconds", 10),)),
    Case(
        "OrdersyncDeadLetters",
        20,
        {'ordersync_events_total{stage="streams",outcome="rejected"}': "3x18 4x9"},
        (
            {'ordersync_events_total{stage="streams",outcome="rejected"}': "3 4x30"},
            {'ordersync_events_total{stage="streams",outcome="parked"}': "3x18 4x9"},
        ),
    ),
    Case(
        "OrdersyncDeadLettersMany",
        40,
        {
            'ordersync_events_total{stage="capture",outcome="written"}': "0+100x60",
            'ordersync_events_total{stage="streams",outcome="rejected"}': "0+6x60",
        },
        (
            {
                'ordersync_events_total{stage="capture",outcome="written"}': "0+100x60",
                'ordersync_events_total{stage="streams",outcome="rejected"}': "0+4x60",
            },
            {
                'ordersync_events_total{stage="capture",outcome="written"}': "0+1x60",
                'ordersync_events_total{stage="streams",outcome="rejected"}': "0+0.5x60",
            },
        ),
    ),
    Case(
        "OrdersyncParkedTooLong",
        300,
        stuck("ordersync_parked_oldest_timestamp_seconds", 60),
        (
            stuck("ordersync_parked_oldest_timestamp_seconds", 60 * 70),
            stuck("ordersync_parked_oldest_timestamp_seconds"),
        ),
    ),
    Case(
        "OrdersyncReceiverUnreachable",
        120,
        {'ordersync_vendor_attempts_total{vendor="v",outcome="unreachable"}': "0+1x200"},
        (
            {
                'ordersync_vendor_attempts_total{vendor="v",outcome="unreachable"}': "0+1x200",
                'ordersync_vendor_attempts_total{vendor="v",outcome="delivered"}': "0+1x200",
            },
            {'ordersync_vendor_attempts_total{vendor="v",outcome="failed"}': "0 1x5 1x200"},
        ),
    ),
    Case(
        "OrdersyncReceiverGivenUp",
        10,
        {'ordersync_vendor_dead_letters{vendor="v"}': "0x5 1x20"},
        (
            {'ordersync_vendor_dead_letters{vendor="v"}': "0x20"},
            {'ordersync_vendor_dead_letters{vendor="v"}': "1x5 0x20"},
        ),
    ),
    Case("OrdersyncSlotAbsent", 9, {PRESENT: "1x3 0x9"}, ({PRESENT: "1x20"}, {PRESENT: "1x8 0 1x9"})),
    Case(
        "OrdersyncSlotAbsent",
        12,
        {PRESENT: "1x20", 'ordersync_capture_gaps_total{instance="i"}': "0x9 1x9"},
        ({PRESENT: "1x20", 'ordersync_capture_gaps_total{instance="i"}': "1x20"},),
    ),
    Case(
        "OrdersyncSlotRetainsMuch", 30, {SLOT: f"{5 * GIB}x60"}, ({SLOT: f"{4 * GIB}x60"}, {SLOT: f"{5 * GIB}x9 0x60"})
    ),
    Case(
        "OrdersyncSlotRetainsMuch",
        30,
        {'ordersync_replication_slot_safe_bytes{slot="s"}': f"{GIB - 1}x60"},
        ({'ordersync_replication_slot_safe_bytes{slot="s"}': f"{GIB}x60"},),
    ),
    Case("OrdersyncCaptureSilent", 30, {}, ({PRESENT: "1x60"}, {PRESENT: "0x60"})),
    Case(
        "OrdersyncCaptureStopped",
        5,
        {'ordersync_capture_stopped{table="orders"}': "0x3 1x9"},
        ({'ordersync_capture_stopped{table="orders"}': "0x20"},),
    ),
    Case(
        "OrdersyncBackupStale",
        60,
        stuck(f'{THROUGH}{{sink="archive"}}'),
        (clock(f'{THROUGH}{{sink="archive"}}', 1790), stuck(f'{THROUGH}{{sink="erp"}}')),
    ),
    Case(
        "OrdersyncBackupSilent",
        30,
        {"ordersync_backup_published_commit": "1x60"},
        ({"ordersync_backup_published_commit": "1x60", f'{THROUGH}{{sink="archive"}}': "0x60"},),
    ),
    Case("OrdersyncBackupSilent", 30, stuck(f'{THROUGH}{{sink="archive"}}'), ()),
    Case(
        "OrdersyncBackupUnproved",
        300,
        {"ordersync_backup_commits_total": "0+1x80", "ordersync_backup_published_commit": "7x80"},
        (
            {"ordersync_backup_commits_total": "0+1x80", "ordersync_backup_published_commit": "7x50 8x30"},
            {"ordersync_backup_commits_total": "9x80", "ordersync_backup_published_commit": "7x80"},
        ),
    ),
    Case(
        "OrdersyncBackupCopyBehind",
        90,
        {'ordersync_backup_copy_behind_files{copy="second"}': "3x120"},
        ({'ordersync_backup_copy_behind_files{copy="second"}': "3x50 0 3x50"},),
    ),
    Case(
        "OrdersyncDrillFailed",
        5,
        {
            'ordersync_backup_drill_timestamp_seconds{outcome="failed"}': "200x9",
            'ordersync_backup_drill_timestamp_seconds{outcome="passed"}': "100x9",
        },
        (
            {
                'ordersync_backup_drill_timestamp_seconds{outcome="failed"}': "100x9",
                'ordersync_backup_drill_timestamp_seconds{outcome="passed"}': "200x9",
            },
            {
                'ordersync_backup_drill_timestamp_seconds{outcome="failed"}': "0x9",
                'ordersync_backup_drill_timestamp_seconds{outcome="passed"}': "0x9",
            },
        ),
    ),
    Case(
        "OrdersyncDrillOverdue",
        1500,
        {"ordersync_backup_drill_overdue": "1x320"},
        ({"ordersync_backup_drill_overdue": "1x280 0x40"},),
    ),
    Case("OrdersyncDrillSilent", 90, {}, ({"ordersync_backup_drill_overdue": "0x120"},)),
    Case(
        "OrdersyncAuditTampered",
        3,
        {"ordersync_audit_faults": "0x1 1x5"},
        ({"ordersync_audit_faults": "0x5"},),
    ),
    Case(
        "OrdersyncAuditUnverified",
        30,
        # Looked at in the first minute, and never again.
        {f'{AUDITED}{{scope="new"}}': "30x40", f'{AUDITED}{{scope="whole"}}': "30x40"},
        (
            {f'{AUDITED}{{scope="new"}}': "0+60x40", f'{AUDITED}{{scope="whole"}}': "30x40"},
            # Away for not quite long enough.
            {f'{AUDITED}{{scope="new"}}': "30x19 1200+60x20", f'{AUDITED}{{scope="whole"}}': "30x40"},
        ),
    ),
    Case(
        "OrdersyncAuditUnverified",
        3000,
        {f'{AUDITED}{{scope="new"}}': "0+300x700", f'{AUDITED}{{scope="whole"}}': "30x700"},
        ({f'{AUDITED}{{scope="new"}}': "0+300x700", f'{AUDITED}{{scope="whole"}}': "86400x700"},),
    ),
    Case("OrdersyncAuditSilent", 60, {}, ({f'{AUDITED}{{scope="new"}}': "0+60x90"},)),
    Case(
        "OrdersyncWorkerDown",
        10,
        {'up{job="ordersync",worker="erp",instance="i"}': "1x5 0x9"},
        (
            {'up{job="ordersync",worker="erp",instance="i"}': "1x8 0 1x9"},
            {'up{job="other",worker="erp",instance="i"}': "0x20"},
        ),
    ),
    Case("OrdersyncWorkersSilent", 30, {}, ({'up{job="ordersync",instance="i"}': "0x60"},)),
    Case(
        "OrdersyncWorkerNotReady",
        30,
        {'ordersync_worker_ready{worker="erp"}': "1x5 0x30"},
        ({'ordersync_worker_ready{worker="erp"}': "1x25 0x4 1x30"},),
    ),
    Case(
        "OrdersyncWorkerRestarts",
        25,
        {'process_start_time_seconds{job="ordersync",worker="erp"}': "1x5 2x5 3x5 4x3 5x30"},
        ({'process_start_time_seconds{job="ordersync",worker="erp"}': "1x5 2x5 3x5 4x60"},),
    ),
]
