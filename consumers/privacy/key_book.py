"""What the topics of privacy say now: which keys each person has, and for whom nothing may be sealed."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from schemas.codec import TopicCodec
from schemas.codec.topic import SchemaIds
from schemas.errors import Fatal, InvalidMessage
from schemas.models import SubjectErasure, SubjectKey
from schemas.topics import SUBJECT_ERASURES, SUBJECT_KEYS

_log = logging.getLogger(__name__)


def key_of(key: SubjectKey) -> str:
    """The key under which a data key lies on its topic."""
    return f"{key.subject}/{key.key_id}"


class KeyBook:
    """Follows the records of both topics, in any order between the two: what counts is the generation.

    A key is good while its generation is the subject's and the subject is not erased. So one that was made at the
    moment of an erasure, or came back with an old copy of the topic, is void whatever the clocks said.
    """

    def __init__(self, schemas: SchemaIds, prefix: str = "") -> None:
        """`prefix` is the start of the topics' names."""
        self.keys_topic, self.erasures_topic = prefix + SUBJECT_KEYS, prefix + SUBJECT_ERASURES
        self._key_codec = TopicCodec(self.keys_topic, SubjectKey, schemas)
        self._erasure_codec = TopicCodec(self.erasures_topic, SubjectErasure, schemas)
        # As they stand on the topic: an installation has as many as it has customers.
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._erasures: dict[str, SubjectErasure] = {}

    @property
    def topics(self) -> tuple[str, str]:
        """Both topics; each has one partition."""
        return self.keys_topic, self.erasures_topic

    def hear(self, topic: str, key: str, value: bytes | None) -> None:
        """Take in one record.

        Raises:
            Fatal: a record of the erasures cannot be read: whom it is about might be sealed again.
            Transient: the registry had to be asked and is away.
        """
        if topic == self.erasures_topic:
            self._hear_erasure(key, value)
        else:
            self._hear_key(key, value)

    def generation(self, subject: str) -> int:
        """How often the keys of a subject were destroyed."""
        erasure = self._erasures.get(subject)
        return erasure.generation if erasure is not None else 0

    def is_erased(self, subject: str) -> bool:
        """Whether nothing may be sealed for it."""
        erasure = self._erasures.get(subject)
        return erasure is not None and erasure.is_erased

    def erasure(self, subject: str) -> SubjectErasure | None:
        """The last decision about it."""
        return self._erasures.get(subject)

    def subjects(self) -> set[str]:
        """Everybody who has a key or was erased."""
        return self._keys.keys() | self._erasures.keys()

    def all_keys(self, subject: str) -> list[SubjectKey]:
        """Those that lie on the topic, void or not."""
        return [self._key_codec.decode(value) for value in self._keys.get(subject, ())]

    def good_keys(self, subject: str) -> list[SubjectKey]:
        """Those that count, oldest first."""
        if self.is_erased(subject):
            return []
        now = self.generation(subject)
        return [key for key in self.all_keys(subject) if key.generation == now]

    def void_keys(self) -> Iterator[SubjectKey]:
        """Those that lie on the topic though they were destroyed: they have to be destroyed again."""
        for subject in self._erasures.keys() & self._keys.keys():
            good = {key.key_id for key in self.good_keys(subject)}
            yield from (key for key in self.all_keys(subject) if key.key_id not in good)

    def encoded_key(self, key: SubjectKey) -> bytes:
        """As it stands on its topic."""
        return self._key_codec.encode(key)

    def encoded_erasure(self, erasure: SubjectErasure) -> bytes:
        """As it stands on its topic."""
        return self._erasure_codec.encode(erasure)

    def _hear_key(self, key: str, value: bytes | None) -> None:
        subject, _, key_id = key.partition("/")
        if value is None:
            self._forget(subject, key_id)
            return
        try:
            heard = self._key_codec.decode(value)
        except InvalidMessage as exc:
            _log.warning("a record of %s is no key and is passed over: %s", self.keys_topic, exc)
            return
        if key_of(heard) != key:
            _log.warning("a key on %s lies under another's name and is passed over", self.keys_topic)
            return
        self._forget(subject, key_id)
        self._keys[subject] = (*self._keys.get(subject, ()), value)

    def _forget(self, subject: str, key_id: str) -> None:
        kept = tuple(value for value in self._keys.get(subject, ()) if self._key_codec.decode(value).key_id != key_id)
        if kept:
            self._keys[subject] = kept
        else:
            self._keys.pop(subject, None)

    def _hear_erasure(self, key: str, value: bytes | None) -> None:
        problem = "has no value"
        if value is not None:
            try:
                heard = self._erasure_codec.decode(value)
            except InvalidMessage as exc:
                problem = str(exc)
            else:
                known = self._erasures.get(key)
                # What an old copy of the topic says does not undo what is known.
                if known is None or heard.generation >= known.generation:
                    self._erasures[key] = heard
                return
        raise Fatal(
            f"a record of {self.erasures_topic} {problem}, so somebody might be sealed again who was erased: "
            "restore the topic from the backup"
        )
