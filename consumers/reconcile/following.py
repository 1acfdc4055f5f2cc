"""Follows the topics that the picture is made of, and tells which orders are to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from confluent_kafka import Message

from consumers.backup.chain import GENESIS
from consumers.reading import key_of
from consumers.reconcile.backup_feed import BackupFeed
from consumers.reconcile.picture import Changes, Picture, StateMark
from consumers.reconcile.topic import TopicReader, value_of
from consumers.reconcile.vendor_feed import VendorFeed
from schemas.settings import KafkaSettings
from schemas.topics import BACKUP, ORDER_STATE, PARKED, REJECTED, VENDOR_UPDATES

_RECORDS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class News:
    """Something new about an order, and when it was written, in seconds since 1970."""

    order_id: str
    written_at: float


class Following:
    """Reads `orders.state`, what was refused, parked, told to vendors and backed up, on from where the picture is."""

    def __init__(self, kafka: KafkaSettings, picture: Picture, feed: VendorFeed, backup: BackupFeed) -> None:
        self._picture, self._feed, self._backup = picture, feed, backup
        topics = (ORDER_STATE, PARKED, REJECTED, VENDOR_UPDATES, BACKUP)
        self._readers = {topic: TopicReader(kafka, topic) for topic in topics}
        self._names: dict[str, str] = {}
        self._told: set[str] = set()
        self._copied: set[str] = set()
        self._broken: set[str] = set()

    def close(self) -> None:
        """Give the connections back."""
        for reader in self._readers.values():
            reader.close()

    def begin(self) -> None:
        """Drop the picture where it is of topics that are gone; called once, before the first `advance`.

        Raises:
            ConfigurationError: a topic does not exist.
            Transient: Kafka does not answer.
        """
        self._names = {topic: f"{topic}#{reader.topic_id}" for topic, reader in self._readers.items()}
        positions = self._picture.positions
        if positions.keys() - set(self._names.values()) or self._is_ahead():
            self._picture.forget()

    def advance(self) -> Iterator[list[News]]:
        """Bring the picture to the ends of the topics as they are now, some thousand records at a time.

        What is given is in the picture, where the order is not settled until it was compared. What vendors were told is
        no news: it can only heal, and what came with a version is compared with that; nor is what was backed up, where
        the chain holds.

        Raises:
            ConfigurationError: a topic cannot be read.
            Transient: Kafka does not answer.
        """
        for topic, reader in self._readers.items():
            take = {VENDOR_UPDATES: self._take_told, BACKUP: self._take_links}.get(topic, self._take_of(topic))
            name, positions = self._names[topic], self._picture.positions
            reached = positions.get(name, {})
            messages: list[Message] = []
            for message in reader.scan(reached, reader.ends()):
                messages.append(message)
                if len(messages) == _RECORDS_AT_ONCE:
                    yield take(messages)
                    messages = []
            if messages:
                yield take(messages)

    def told(self) -> set[str]:
        """Orders of which vendors were told something since this was asked."""
        told, self._told = self._told, set()
        return told

    def copied(self) -> set[str]:
        """Orders of which the backup got a version since this was asked."""
        copied, self._copied = self._copied, set()
        return copied

    def broken(self) -> set[str]:
        """Orders about which a link of the backup's chain was found not to hold since this was asked."""
        broken, self._broken = self._broken, set()
        return broken

    def _take_of(self, topic: str) -> Callable[[list[Message]], list[News]]:
        return lambda messages: self._take(topic, messages)

    def _take(self, topic: str, messages: list[Message]) -> list[News]:
        positions = self._picture.positions
        own = positions.setdefault(self._names[topic], {})
        changes, news = Changes(positions=positions), {}
        for message in messages:
            partition, offset = message.partition() or 0, message.offset() or 0
            own[partition] = offset + 1
            news[key_of(message)] = News(key_of(message), message.timestamp()[1] / 1000)
            self._put(changes, topic, message, partition, offset)
        marks = self._picture.marks(list(news))
        for order_id, mark in marks.items():
            latest = changes.marks.get(order_id, mark)
            changes.marks[order_id] = replace(
                latest, places=mark.places, is_settled=False, sinks_agree=False, sections=mark.sections
            )
        self._picture.write(changes)
        return list(news.values())

    def _take_links(self, messages: list[Message]) -> list[News]:
        positions, chains = self._picture.positions, self._picture.chains
        own = positions.setdefault(self._names[BACKUP], {})
        changes = Changes(positions=positions, chains=chains)
        for message in messages:
            partition, offset = message.partition() or 0, message.offset() or 0
            own[partition] = offset + 1
            head = chains.get(partition, GENESIS)
            link, chains[partition] = self._backup.link(key_of(message), value_of(message), head)
            if link.newest is not None:
                changes.backed_up[link.order_id] = link.newest.packed()
            if link.fault is not None:
                named = link.order_id or f"{BACKUP}:{partition}"
                changes.broken[named, f"{partition}/{offset}"] = link.fault
        # Not known how it stands until it was looked at, also after a crash.
        broken = {order_id for order_id, _ in changes.broken}
        for order_id, mark in self._picture.marks(list(broken)).items():
            changes.marks[order_id] = replace(mark, is_settled=False, sinks_agree=False)
        self._picture.write(changes)
        self._copied |= changes.backed_up.keys()
        self._broken |= broken
        return []

    def _take_told(self, messages: list[Message]) -> list[News]:
        positions = self._picture.positions
        own = positions.setdefault(self._names[VENDOR_UPDATES], {})
        changes = Changes(positions=positions)
        for message in messages:
            own[message.partition() or 0] = (message.offset() or 0) + 1
            value = value_of(message)
            addressee = None if value is None else self._feed.addressee(value)
            if value is not None and addressee is not None:
                changes.told[addressee] = value
        self._picture.write(changes)
        self._told |= {order_id for order_id, _ in changes.told}
        return []

    def _put(self, changes: Changes, topic: str, message: Message, partition: int, offset: int) -> None:
        order_id, value = key_of(message), value_of(message)
        if topic == ORDER_STATE:
            changes.states[order_id] = value
            changes.marks[order_id] = StateMark(partition, message.timestamp()[1] / 1000)
        elif topic == PARKED:
            changes.parked[order_id] = value is not None
        elif value is not None:
            changes.refused.append((order_id, partition, offset, value))

    def _is_ahead(self) -> bool:
        positions = self._picture.positions
        return any(
            offset > ends.get(partition, 0)
            for topic, reader in self._readers.items()
            for ends in (reader.ends(),)
            for partition, offset in positions.get(self._names[topic], {}).items()
        )
