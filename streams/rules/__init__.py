"""The business rules: pure functions of events, state and master data; clock and ids come in as arguments."""
