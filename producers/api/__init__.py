"""Orders in over HTTP: an accepted order is durable in Kafka before its answer, and goes the way of any other."""
