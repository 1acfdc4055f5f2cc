"""The topics of vendors that read Kafka themselves: each holds what that vendor is told, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from time import monotonic

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.kafka import kafka_error, named_offset
from consumers.topic_history import TopicHistory
from consumers.transactions import Beside, TransactionWriter
from consumers.vendors.deliveries.messages import shown_to
from consumers.vendors.profiles import VendorProfiles
from consumers.vendors.settings import VendorsSettings
from consumers.vendors.told import Told, ToldUpdates
from consumers.vendors.views import key_of
from schemas.attributes import VendorId
from schemas.codec import TopicCodec
from schemas.errors import ConfigurationError
from schemas.models import VendorUpdate
from schemas.vendor_topics import vendor_topic

_log = logging.getLogger(__name__)
_ANSWER_SECONDS = 20.0
_AT_ONCE = 1_000


class OwnTopics:
    """Writes each vendor's updates to its own topic too, on the partition that they have in `vendors.updates`.

    In the transaction that writes them there: so exactly once, ordered for each order, and never one without the
    other. A topic that is seen for the first time is filled with what its vendor was told before, from the start of
    `vendors.updates`; until that is done nothing is added to it. So a vendor's topic always holds, without a gap, the
    first so many of its updates. A vendor that is added later needs an entry in the vendors' file and
    `ordersync topics apply`; the worker sees both while it runs.
    """

    def __init__(
        self, settings: VendorsSettings, codec: TopicCodec[VendorUpdate], told: ToldUpdates, writer: TransactionWriter
    ) -> None:
        """Raises ConfigurationError where the vendors' file cannot be read."""
        self._settings = settings
        self._codec = codec
        self._told = told
        self._writer = writer
        self._profiles = (
            VendorProfiles(vendors={}) if settings.vendors is None else VendorProfiles.load(settings.vendors)
        )
        self._profiles.with_topics()
        self._numbers: Sequence[int] = ()
        self._topics: dict[VendorId, str] = {}
        self._missing: set[VendorId] = set()
        self._look_at = 0.0

    def take(self, numbers: Sequence[int]) -> None:
        """The worker has these partitions from now on; their topics are filled. After `ToldUpdates.catch_up`.

        Raises:
            ConfigurationError: a topic has another number of partitions.
            Transient: the brokers are away.
            PositionConflict: another worker took the partitions meanwhile.
        """
        self._numbers, self._topics, self._look_at = numbers, {}, 0.0
        self.look()

    def look(self) -> None:
        """See whether there are other vendors or topics now; called before each batch. Raises as `take`."""
        if self._settings.vendors is None or not self._numbers or monotonic() < self._look_at:
            return
        self._read_again()
        found = self._found()
        new = {vendor: topic for vendor, topic in found.items() if vendor not in self._topics}
        if new:
            self._fill(new)
            _log.info("updates go to the own topics of %s", ", ".join(sorted(new)))
        self._topics = found
        self._look_at = monotonic() + self._settings.look_seconds

    def records(self, news: Iterable[Told]) -> Iterator[Beside]:
        """What goes to vendors' topics of this news."""
        for number, update, value in news:
            topic = self._topics.get(update.vendor_id)
            if topic is not None:
                yield from self._shown(topic, number, update, value)

    def keep(self, ends: Mapping[int, int]) -> None:
        """The records were committed, with the news that ends at these offsets of `vendors.updates`."""
        if self._topics:
            self._told.keep_copied(self._topics, ends)

    def _shown(self, topic: str, number: int, update: VendorUpdate, value: bytes) -> Iterator[Beside]:
        profile = self._profiles.of(update.vendor_id)
        if update.update_type in profile.updates:
            shown = shown_to(profile, update)
            own = value if shown is update else self._codec.encode(shown)
            yield Beside(topic, number, key_of(update.vendor_id, update.order_id).encode(), own)

    def _read_again(self) -> None:
        assert self._settings.vendors is not None
        try:
            profiles = VendorProfiles.load(self._settings.vendors)
            profiles.with_topics()
        except ConfigurationError as exc:
            # Half written, or wrong: what was read before still holds, and nobody goes without news.
            _log.warning("the vendors' file is not taken, the one before it holds: %s", exc)
        else:
            self._profiles = profiles

    def _found(self) -> dict[VendorId, str]:
        """The topics of vendors that the file names and that were made."""
        named = {one: self._settings.topic(vendor_topic(one).name) for one in self._profiles.with_topics()}
        if not named:
            return {}
        try:
            known = self._admin().list_topics(timeout=_ANSWER_SECONDS).topics
        except KafkaException as exc:
            raise kafka_error(exc, "looking for the topics of vendors") from exc
        for topic in named.values():
            counts = {one: len(known[one].partitions) for one in (topic, self._codec.topic) if one in known}
            if len(set(counts.values())) > 1:
                listed = ", ".join(f"{one} {count}" for one, count in counts.items())
                raise ConfigurationError(
                    f"a vendor's topic has as many partitions as the topic that it is filled from, found {listed}: "
                    "delete it, and `ordersync topics apply` makes it anew"
                )
        missing = {vendor for vendor, topic in named.items() if topic not in known}
        if missing - self._missing:
            _log.warning("%s have no topic yet: run `ordersync topics apply`", ", ".join(sorted(missing)))
        self._missing = missing
        return {vendor: topic for vendor, topic in named.items() if vendor not in missing}

    def _fill(self, new: Mapping[VendorId, str]) -> None:
        """Bring topics to the end that `vendors.updates` has now."""
        empty = self._empty(new.values())
        with closing(TopicHistory(self._settings, self._codec.topic)) as history:
            for number in self._numbers:
                low, end = history.settled_range(number)
                heard = self._told.vendors(number)
                copied, reached = self._told.copied(number)
                starts = {
                    vendor: low if vendor not in copied or (topic, number) in empty else max(low, reached)
                    for vendor, topic in new.items()
                    if vendor in heard
                }
                starts = {vendor: start for vendor, start in starts.items() if start < end}
                if starts:
                    self._copy(history, number, self._after_the_last(history, number, starts, end), end)
                self._told.keep_copied({*self._topics, *new}, {number: end})

    def _copy(self, history: TopicHistory, number: int, starts: Mapping[VendorId, int], end: int) -> None:
        missing = (
            record
            for offset, update, value in self._updates(history, number, starts, end)
            if offset >= starts[update.vendor_id]
            for record in self._shown(self._topic_of(update.vendor_id), number, update, value)
        )
        while portion := list(islice(missing, _AT_ONCE)):
            self._writer.write((), [], None, portion)

    def _after_the_last(
        self, history: TopicHistory, number: int, starts: Mapping[VendorId, int], end: int
    ) -> dict[VendorId, int]:
        """The same starts, after the update that each topic has last: another worker may have filled it."""
        last: dict[VendorId, str] = {}
        for vendor in starts:
            with closing(TopicHistory(self._settings, self._topic_of(vendor))) as own:
                message = own.last_record(number)
            if message is not None:
                last[vendor] = self._codec.decode(message.value() or b"").update_id
        found = dict(starts)
        if last:
            for offset, update, _ in self._updates(history, number, starts, end):
                if last.get(update.vendor_id) == update.update_id:
                    found[update.vendor_id] = offset + 1
        return found

    def _updates(
        self, history: TopicHistory, number: int, starts: Mapping[VendorId, int], end: int
    ) -> Iterator[tuple[int, VendorUpdate, bytes]]:
        """Offset, update and bytes of what these vendors were told on a partition, from the first start on."""
        for message in history.records(number, min(starts.values()), end):
            value = message.value()
            update = self._codec.decode(value) if value else None
            if value and update is not None and update.vendor_id in starts:
                yield message.offset() or 0, update, value

    def _empty(self, topics: Iterable[str]) -> set[tuple[str, int]]:
        """Partitions of these topics that never had a record."""
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for topic in topics for number in self._numbers}
        # Kept until the answers are there: they end with the client.
        admin = self._admin()
        answers = admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_ANSWER_SECONDS
        )
        doing = "reading the ends of vendors' topics"
        try:
            ends = {place: named_offset(answer.result(), doing) for place, answer in answers.items()}
        except KafkaException as exc:
            raise kafka_error(exc, doing) from exc
        return {(place.topic, place.partition) for place, end in ends.items() if end == 0}

    def _topic_of(self, vendor: VendorId) -> str:
        return self._settings.topic(vendor_topic(vendor).name)

    def _admin(self) -> AdminClient:
        # Seldom used: one that lives on would go on asking brokers that are gone.
        return AdminClient(self._settings.kafka.client_config())
