"""A contract with a customer: its terms and events in, balanced journal entries with their arithmetic out; pure."""
