"""Topics to topics: decides what the truth about each order is."""
