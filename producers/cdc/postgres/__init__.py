"""Capture from PostgreSQL 14 and later: logical replication through pgoutput, catalog and snapshot."""
