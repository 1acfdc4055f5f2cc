"""Prints every version of every order: python subscribe.py BROKERS REGISTRY_URL SECURITY_DIRECTORY."""

import functools
import io
import json
import sys
import urllib.request
from pathlib import Path

import fastavro
from confluent_kafka import Consumer

brokers, registry, secrets = sys.argv[1:]


@functools.cache
def schema(number: int) -> object:
    """The schema that a message names by its number; the registry answers once for each."""
    with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as answer:
        return fastavro.parse_schema(json.loads(json.load(answer)["schema"]))


consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "subscriber",
        "sasl.password": Path(secrets, "passwords", "subscriber").read_text(),
        "ssl.ca.location": str(Path(secrets, "ca.pem")),
        "group.id": "subscriber-my-program",
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
