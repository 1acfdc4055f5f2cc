"""Where reading begins: the group's committed offsets, never one that is still pending."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from faust.types import TP

from schemas.errors import Fatal, Transient
from streams.transport.batch import TransactionalId
from streams.transport.errors import client_error
from streams.transport.options import TransportOptions
from streams.transport.output import Output, transactional_producer, uncancelled

logger = logging.getLogger(__name__)

_ATTEMPT_SECONDS = 1.0
_NOT_YET = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
    }
)


class Positions:
    """Reads the positions of newly assigned partitions, and ends what dead workers left open.

    A dead worker's open transaction keeps readers of its outputs waiting, and its pending offsets are not readable,
    until it ends: by itself only after `transaction.timeout.ms`. The metadata of a committed offset names its writer,
    and members of the group carry the same name as client id: a writer that is no member has lost its partitions, so
    its transaction is ended at once by taking over its transactional id.
    """

    def __init__(self, consumer: KafkaConsumer, options: TransportOptions, group: str, output: Output) -> None:
        self._consumer = consumer
        self._options = options
        self._group = group
        self._own_id = output.transactional_id

    async def committed(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """The committed offset of each partition, or its first offset where nothing was committed.

        Raises `Fatal` if the brokers do not answer within the deadline.
        """
        asked = [TopicPartition(*tp) for tp in sorted(partitions)]
        if not asked:
            return {}
        patience_seconds = 2 * self._options.client_timeout_seconds
        deadline = time.monotonic() + patience_seconds
        while (positions := await self._attempt(asked)) is None:
            if time.monotonic() > deadline:
                raise Fatal(
                    f"The committed offsets of group {self._group} could not be read for {patience_seconds:g} s: "
                    "are the brokers up, and is no transaction hanging?"
                )
        return positions

    async def _attempt(self, asked: list[TopicPartition]) -> dict[TP, int] | None:
        """The positions; None where somebody's offsets are pending, or the brokers do not answer."""
        try:
            found = await uncancelled(lambda: self._read(asked))
            if found is None:
                await uncancelled(lambda: self._end_transactions_of_dead(self._unstable(asked)))
                return None
            await uncancelled(lambda: self._end_transactions_of_dead(found))
            return await uncancelled(lambda: self._resolved(found))
        except Transient as exc:
            logger.warning("The committed offsets are asked for again: %s", exc)
            await asyncio.sleep(exc.retry_after_seconds)
            return None

    def _read(self, asked: list[TopicPartition]) -> list[TopicPartition] | None:
        try:
            found = self._consumer.committed(asked, timeout=_ATTEMPT_SECONDS)
        except KafkaException as exc:
            if exc.args[0].code() in _NOT_YET:
                return None
            raise client_error(exc, "reading the committed offsets") from exc
        if any(part.error is not None for part in found):
            return None
        return found

    def _resolved(self, found: list[TopicPartition]) -> dict[TP, int]:
        return {
            TP(part.topic, part.partition): part.offset if part.offset >= 0 else self._first_offset(part)
            for part in found
        }

    def _first_offset(self, part: TopicPartition) -> int:
        try:
            first: int = self._consumer.get_watermark_offsets(
                TopicPartition(part.topic, part.partition), timeout=self._options.client_timeout_seconds
            )[0]
        except KafkaException as exc:
            raise client_error(exc, f"looking up the first offset of {part.topic}[{part.partition}]") from exc
        return first

    def _unstable(self, asked: list[TopicPartition]) -> list[TopicPartition]:
        observer = KafkaConsumer(self._options.observer_config(self._group, "read_uncommitted"))
        try:
            return observer.committed(asked, timeout=_ATTEMPT_SECONDS)
        except KafkaException as exc:
            if exc.args[0].code() in _NOT_YET:
                return []
            raise client_error(exc, "reading the committed offsets") from exc
        finally:
            observer.close()

    def _end_transactions_of_dead(self, found: list[TopicPartition]) -> None:
        writers = {TransactionalId(part.metadata) for part in found if part.metadata} - {self._own_id}
        if not writers:
            return
        for writer in sorted(writers - self._living()):
            logger.warning("Ending what %s, who left the group, may have left open", writer)
            transactional_producer(self._options, writer, lambda _error, _message: None)

    def _living(self) -> set[TransactionalId]:
        admin = AdminClient(dict(self._options.client_config))
        try:
            group = admin.describe_consumer_groups([self._group])[self._group].result(
                self._options.client_timeout_seconds
            )
        except KafkaException as exc:
            raise client_error(exc, "looking up the members of the group") from exc
        return {TransactionalId(member.client_id) for member in group.members}
