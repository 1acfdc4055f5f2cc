"""Prints every version of every order: python subscribe.py BROKERS REGISTRY_URL SECURITY_DIRECTORY [KEY_FILE].

With the key-encryption keys it signs in as `subscriber-personal`, and opens what is sealed; without, as `subscriber`.
"""

import base64
import functools
import hashlib
import hmac
import io
import json
import sys
import time
import urllib.request
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

brokers, registry, secrets, *key_file = sys.argv[1:]
principal, group = (
    ("subscriber-personal", "personal-my-program") if key_file else ("subscriber", "subscriber-my-program")
)
config = {
    "bootstrap.servers": brokers,
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": principal,
    "sasl.password": Path(secrets, "passwords", principal).read_text(),
    "ssl.ca.location": str(Path(secrets, "ca.pem")),
    "group.id": group,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
}


@functools.cache
def schema(number):
    """The schema that a message names by its number; the registry answers once for each."""
    with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as answer:
        return fastavro.parse_schema(json.loads(json.load(answer)["schema"]))


def read(value):
    """A message's value: a zero byte, the number of its schema in 4 bytes, Avro."""
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schema(int.from_bytes(value[1:5], "big")))


def bound(*parts):
    """What sealed bytes are bound to: numbers in 8 bytes, texts in UTF-8 after their length."""
    texts = (one if isinstance(one, int) else one.encode() for one in parts)
    return b"".join(
        one.to_bytes(8, "big") if isinstance(one, int) else len(one).to_bytes(8, "big") + one for one in texts
    )


class Keys:
    """Opens sealed parts by the keys of people, which lie encrypted on `privacy.keys`."""

    def __init__(self, path):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.cipher = AESGCM
        wrapping = [base64.b64decode(line) for line in Path(path).read_text().split()]
        self.wrapping = {
            hmac.new(one, b"ordersync.key-encryption-key", hashlib.sha256).hexdigest()[:16]: AESGCM(one)
            for one in wrapping
        }
        self.consumer = Consumer(config | {"enable.auto.commit": False, "enable.partition.eof": True})
        self.reached = {"privacy.keys": 0, "privacy.erasures": 0}
        self.keys, self.erasures, self.gone, self.read_at = {}, {}, set(), 0.0

    def catch_up(self):
        """Read both topics on to their ends of now."""
        self.consumer.assign([TopicPartition(topic, 0, offset) for topic, offset in self.reached.items()])
        ended = set()
        while len(ended) < len(self.reached):
            message = self.consumer.poll(30)
            if message is None or message.error() is not None:
                if message is None or message.error().code() != KafkaError._PARTITION_EOF:
                    sys.exit(f"the keys do not come: {message and message.error()}")
                ended.add(message.topic())
                continue
            self.reached[message.topic()] = message.offset() + 1
            held = self.keys if message.topic() == "privacy.keys" else self.erasures
            name = message.key().decode()
            if message.value() is None:
                held.pop(name, None)
            else:
                held[name] = read(message.value())
        self.read_at = time.monotonic()

    def open(self, state, part):
        """The values of a part by their JSON Pointers; none where its key was destroyed."""
        name = f"{part['subject']}/{part['key_id']}"
        # A key is written together with the first part that needs it: what is not there now never will be.
        if name not in self.gone and (name not in self.keys or time.monotonic() - self.read_at > 60):
            self.catch_up()
        key = self.keys.get(name)
        erasure = self.erasures.get(part["subject"], {"is_erased": False, "generation": 0})
        if key is None or erasure["is_erased"] or key["generation"] != erasure["generation"]:
            self.gone.add(name)
            return {}
        whose = bound("ordersync.key/1", key["subject"], key["key_id"], key["generation"])
        wrapped, sealed = key["wrapped_key"], part["sealed"]
        data_key = self.cipher(self.wrapping[key["wrapped_by"]].decrypt(wrapped[:12], wrapped[12:], whose))
        where = bound("ordersync.sealed/1", state["order_id"], state["version"], part["subject"], part["key_id"])
        where += bound(len(part["attributes"]), *part["attributes"])
        return json.loads(data_key.decrypt(sealed[:12], sealed[12:], where))


keys = Keys(*key_file) if key_file else None
consumer = Consumer(config)
consumer.subscribe(["orders.published"])
while (message := consumer.poll(30)) is not None:
    if message.error() is None:
        event = read(message.value())
        state = event["state"]
        told = [state["order_id"], state["version"], event["event_type"], state["order"]["payable_amount"]]
        if keys is not None:
            opened = {name: value for part in event["sealed"] for name, value in keys.open(state, part).items()}
            told.append(json.dumps(opened))
        print(*told, flush=True)
