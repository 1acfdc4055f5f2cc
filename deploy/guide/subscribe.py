"""Prints every version of every order: python subscribe.py BROKERS REGISTRY_URL."""

import functools
import io
import json
import sys
import urllib.request

import fastavro
from confluent_kafka import Consumer

brokers, registry = sys.argv[1:]


@functools.cache
def schema(number: int) -> object:
    """The schema that a message names by its number; the registry answers once for each."""
    with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as answer:
        return fastavro.parse_schema(json.loads(json.load(answer)["schema"]))


consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "group.id": "my-program",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }
)
consumer.subscribe(["orders.events"])
while (message := consumer.poll(30)) is not None:
    if message.error() is None:
        number, body = int.from_bytes(message.value()[1:5], "big"), io.BytesIO(message.value()[5:])
        event = fastavro.schemaless_reader(body, schema(number))
        state = event["state"]
        print(state["order_id"], state["version"], event["event_type"], state["order"]["payable_amount"], flush=True)
