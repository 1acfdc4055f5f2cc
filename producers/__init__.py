"""Outside to topics: what captures orders, fulfilments, payments and master data where they happen."""
