"""What `ordersync ledger` reads and shows."""
