"""From captured records to versions: the rules applied to bytes, per-order state and master data."""
