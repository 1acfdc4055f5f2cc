"""Prepares this machine for the embedded stack: `python -m deploy.local.installation`, run by `make install`."""

from __future__ import annotations

import sys
import tempfile
import uuid
from contextlib import closing
from pathlib import Path

import httpx
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.artifacts import fetch_artifacts
from deploy.local.endpoints import Endpoints
from deploy.local.kafka import kafka_program
from deploy.local.progress import ConsoleProgress, SilentProgress, StackProgress
from deploy.local.registry import registry_program
from deploy.local.stack import EmbeddedStack
from schemas.errors import Fatal, OrdersyncError

_ANSWER_SECONDS = 30.0


def main() -> None:
    """Fetch the artefacts and record a start; the second time it does nothing."""
    try:
        prepare_machine(ConsoleProgress())
    except OrdersyncError as exc:
        print(exc, file=sys.stderr)  # noqa: T201
        sys.exit(exc.exit_code)


def prepare_machine(progress: StackProgress) -> None:
    """Make the next start of a stack fast: everything downloaded, and one start recorded.

    Raises:
        Fatal: a download, the disk or a server failed.
    """
    java = fetch_artifacts(progress)
    programs = [maker(java, recording=True) for maker in (kafka_program, registry_program)]
    if all(program.cache.exists() for program in programs):
        return
    progress.step("install", "recording one start of the servers, so that later ones are fast")
    with tempfile.TemporaryDirectory(prefix="ordersync-install-") as directory:
        home = Path(directory)
        # PostgreSQL runs under an account of its own where root installs, and must get through.
        home.chmod(0o711)
        stack = EmbeddedStack(home, record_start=True)
        try:
            _exercise(stack.start(SilentProgress()))
        finally:
            stack.stop()
    missing = [program.name for program in programs if not program.keep_recording()]
    progress.step("install", f"no recording of {', '.join(missing)}: starts stay slower" if missing else "done")


def _exercise(endpoints: Endpoints) -> None:
    """Use each server once as the workers do, for what a first use loads belongs to the recording."""
    _exercise_registry(endpoints)
    _exercise_kafka(endpoints)


def _exercise_registry(endpoints: Endpoints) -> None:
    registry = endpoints.registry()
    with httpx.Client(
        base_url=registry.url, auth=registry.credentials(), timeout=_ANSWER_SECONDS, trust_env=False
    ) as client:
        schema = '{"type": "record", "name": "Probe", "fields": [{"name": "n", "type": "long"}]}'
        answer = client.post("/subjects/probe-value/versions", json={"schema": schema})
        answer.raise_for_status()
        client.get(f"/schemas/ids/{answer.json()['id']}").raise_for_status()


def _exercise_kafka(endpoints: Endpoints) -> None:
    servers = endpoints.kafka().client_config()
    topic = f"probe-{uuid.uuid4().hex}"
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(_ANSWER_SECONDS)
    producer = Producer(servers | {"transactional.id": topic})
    producer.init_transactions(_ANSWER_SECONDS)
    producer.begin_transaction()
    producer.produce(topic, b"probe")
    producer.commit_transaction(_ANSWER_SECONDS)
    group = {"group.id": topic, "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
    with closing(Consumer(servers | group)) as consumer:
        consumer.subscribe([topic])
        if consumer.poll(_ANSWER_SECONDS) is None:
            raise Fatal(f"Kafka gave back no record of {topic} within {_ANSWER_SECONDS:.0f} s.")
        consumer.commit(asynchronous=False)


if __name__ == "__main__":
    main()
