"""What clients of the API hear of their orders: subscriptions, and the news that they bring."""
