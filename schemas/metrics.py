"""Names, help texts and labels of every metric; each room makes its own instruments from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it appears on `/metrics`; seconds and base units, never an order id in a label."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


CONSUMER_LAG_RECORDS = Metric(
    "ordersync_consumer_lag_records",
    "Offsets from the next record that the group has not read to the end of the partition; 0 where none follows",
    ("group", "topic", "partition"),
)
CONSUMER_LAG_SECONDS = Metric(
    "ordersync_consumer_lag_seconds",
    "Age of the next record that the group has not read; 0 where there is none",
    ("group", "topic", "partition"),
)
CONSUMER_EXPIRED_RECORDS = Metric(
    "ordersync_consumer_expired_records",
    "Offsets that the log gave up before the group had read them",
    ("group", "topic", "partition"),
)
OPEN_TRANSACTION_SECONDS = Metric(
    "ordersync_open_transaction_seconds",
    "For how long readers of whole transactions have stood before the same one that has not ended; 0 where none has",
    ("topic", "partition"),
)
CONSUMER_STANDING = Metric(
    "ordersync_consumer_standing",
    "1 for how the group does by the trend of its offsets: fine, slow, rewound, stalled or stopped; 0 for the others",
    ("group", "standing"),
)
CONSUMER_REWINDS_TOTAL = Metric(
    "ordersync_consumer_rewinds_total", "Times that the group was seen to go back to an earlier offset", ("group",)
)
LAG_OBSERVED_TIMESTAMP_SECONDS = Metric(
    "ordersync_lag_observed_timestamp_seconds",
    "When the broker last told the offsets of every group; 0 before the first",
)
EVENT_LATENCY_SECONDS = Metric(
    "ordersync_event_latency_seconds",
    "Time from the commit in the source to the durable effect of the stage",
    ("stage",),
    (
        0.005,
        0.01,
        0.025,
        0.05,
        0.1,
        0.25,
        0.5,
        0.75,
        1.0,
        1.5,
        2.5,
        3.5,
        5.0,
        7.5,
        10.0,
        15.0,
        20.0,
        30.0,
        60.0,
        300.0,
        3600.0,
    ),
)
EVENTS_TOTAL = Metric("ordersync_events_total", "Records handled by a stage, by outcome", ("stage", "outcome"))
DEAD_LETTERS_TOTAL = Metric("ordersync_dead_letters_total", "Records refused, by rule", ("rule",))
PARKED_ORDERS = Metric("ordersync_parked_orders", "Orders that wait for a master record")
PARKED_OLDEST_TIMESTAMP_SECONDS = Metric(
    "ordersync_parked_oldest_timestamp_seconds",
    "Since when the order waits that has waited longest, seconds since 1970; 0 where none waits",
)
WORKER_READY = Metric(
    "ordersync_worker_ready", "1 while the worker does its work, otherwise 0; what /health/ready says"
)
STATE_RECORDS_TO_LOAD = Metric(
    "ordersync_state_records_to_load", "Offsets of the changelogs that a starting stream worker has still to pass"
)
MISMATCHES = Metric("ordersync_mismatches", "Open differences between systems", ("system", "kind"))
MISMATCH_AMOUNT = Metric("ordersync_mismatch_amount", "Money at stake in open differences", ("system", "currency"))
COMPLETE_THROUGH_TIMESTAMP_SECONDS = Metric(
    "ordersync_complete_through_timestamp_seconds",
    "Everything on the sink's topics up to this time, seconds since 1970, has its durable effect",
    ("sink",),
)
RECONCILE_ROUNDS_TOTAL = Metric(
    "ordersync_reconcile_rounds_total",
    "Rounds of the reconciliation: steady looks at what changed, full and source at everything",
    ("round", "outcome"),
)
RECONCILE_ROUND_SECONDS = Metric(
    "ordersync_reconcile_round_seconds", "How long the last round of its kind took", ("round",)
)
RECONCILED_TIMESTAMP_SECONDS = Metric(
    "ordersync_reconciled_timestamp_seconds",
    "Start of the last round of its kind that was done, seconds since 1970; 0 before the first",
    ("round",),
)
RECONCILED_ORDERS = Metric("ordersync_reconciled_orders", "Orders in the picture of the synchronized state")
RECONCILE_WAITING_ORDERS = Metric("ordersync_reconcile_waiting_orders", "Orders that are still to be compared")
ORDERS_ON_THE_WAY = Metric(
    "ordersync_orders_on_the_way", "Orders that a system does not have yet, and need not have", ("system",)
)
MISMATCH_CAUSES = Metric("ordersync_mismatch_causes", "Open differences by probable cause", ("cause",))
SINK_COMPLETE_THROUGH_TIMESTAMP_SECONDS = Metric(
    "ordersync_reconcile_complete_through_timestamp_seconds",
    "Everything on Kafka, or for the state in the sources, up to this time, seconds since 1970, is in the system",
    ("system",),
)
LEDGER_IMBALANCE = Metric("ordersync_ledger_imbalance", "Debits less credits of the ledger; always 0", ("currency",))
LEDGER_BALANCE = Metric(
    "ordersync_ledger_balance",
    "Debits less credits of an account, in the functional currency",
    ("account", "account_name", "currency"),
)
LEDGER_NET_SALES = Metric(
    "ordersync_ledger_net_sales", "Recognised revenue less returns, in the functional currency", ("period", "currency")
)
LEDGER_COST_OF_SALES = Metric(
    "ordersync_ledger_cost_of_sales", "Cost of goods sold, in the functional currency", ("period", "currency")
)
LEDGER_NET_INCOME = Metric(
    "ordersync_ledger_net_income", "Income less expenses, in the functional currency", ("period", "currency")
)
LEDGER_OPERATING_CASH_FLOW = Metric(
    "ordersync_ledger_operating_cash_flow",
    "Cash flow from operating activities, in the functional currency",
    ("period", "currency"),
)
LEDGER_FIGURES_TIMESTAMP_SECONDS = Metric(
    "ordersync_ledger_figures_timestamp_seconds", "When the ledger's figures were last read; 0 before the first"
)
REPLICATION_SLOT_PRESENT = Metric(
    "ordersync_replication_slot_present", "1 while the source has the capture's slot and can serve it", ("slot",)
)
REPLICATION_SLOT_RETAINED_BYTES = Metric(
    "ordersync_replication_slot_retained_bytes", "Log that the source keeps for the capture", ("slot",)
)
REPLICATION_SLOT_SAFE_BYTES = Metric(
    "ordersync_replication_slot_safe_bytes",
    "Log that the source may still write before it may invalidate the slot; absent without a limit",
    ("slot",),
)
CAPTURE_REREAD_ROWS_TOTAL = Metric(
    "ordersync_capture_reread_rows_total", "Rows read again from the source, by snapshot or resync"
)
CAPTURE_REREADING = Metric(
    "ordersync_capture_rereading", "1 while the aggregates of this root table are read again", ("table",)
)
CAPTURE_STOPPED = Metric(
    "ordersync_capture_stopped",
    "1 while nothing is captured of this root table, because the source no longer fits the mapping",
    ("table",),
)
CAPTURE_GAPS_TOTAL = Metric(
    "ordersync_capture_gaps_total", "Slots that were lost, dropped or recreated, answered by reading again"
)
BACKUP_COMMITS_TOTAL = Metric("ordersync_backup_commits_total", "Signed commits of the archive")
BACKUP_BYTES_TOTAL = Metric("ordersync_backup_bytes_total", "Encrypted bytes that the archive put into each copy")
BACKUP_COPY_BEHIND_FILES = Metric(
    "ordersync_backup_copy_behind_files", "Files that a copy, which was away, still has to get", ("copy",)
)
BACKUP_PUBLISHED_COMMIT = Metric("ordersync_backup_published_commit", "Newest commit that the keeper proved and signed")
BACKUP_DRILL_TIMESTAMP_SECONDS = Metric(
    "ordersync_backup_drill_timestamp_seconds",
    "Last rehearsal of a restore, by outcome; 0 before the first",
    ("outcome",),
)
BACKUP_DRILL_OVERDUE = Metric(
    "ordersync_backup_drill_overdue", "1 where the last drill failed or is older than the policy allows, otherwise 0"
)
BACKUP_CHAIN_LENGTH = Metric("ordersync_backup_chain_length", "Links of the partition's hash chain", ("partition",))
AUDIT_FAULTS = Metric(
    "ordersync_audit_faults", "Places where audit.events is not as its writers wrote it, as far as it was looked at"
)
AUDIT_EVENTS = Metric("ordersync_audit_events", "Events of audit.events that were held against their hash chains")
AUDIT_VERIFIED_TIMESTAMP_SECONDS = Metric(
    "ordersync_audit_verified_timestamp_seconds",
    "When audit.events was last looked at: new events, or the whole topic; 0 before the first time",
    ("scope",),
)
VENDOR_ATTEMPTS_TOTAL = Metric(
    "ordersync_vendor_attempts_total",
    "Attempts to deliver to a vendor: delivered, failed, unreachable, gone",
    ("vendor", "outcome"),
)
VENDOR_WAITING = Metric("ordersync_vendor_waiting_updates", "Updates that a vendor has still to get", ("vendor",))
VENDOR_OLDEST_SECONDS = Metric(
    "ordersync_vendor_oldest_waiting_seconds", "Age of the oldest update that a vendor has still to get", ("vendor",)
)
VENDOR_DEAD_LETTERS = Metric("ordersync_vendor_dead_letters", "Updates that were given up", ("vendor",))
VENDOR_UNACKNOWLEDGED = Metric(
    "ordersync_vendor_unacknowledged_updates",
    "Updates that a vendor has not acknowledged within the time that its profile allows",
    ("vendor",),
)
