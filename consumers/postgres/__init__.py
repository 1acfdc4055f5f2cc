"""The PostgreSQL side of database sinks: connection, errors, positions, bulk writing."""
