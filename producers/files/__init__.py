"""Files that a system delivers on a schedule, by the same mapping files as databases: to captured events."""
