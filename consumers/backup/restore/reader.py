"""Reads a verified catalogue's records and surroundings, with the identity of one recipient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import ValidationError
from pyrage.x25519 import Identity

from consumers.backup.archive.batches import ArchivedRecord, RecordBatch
from consumers.backup.archive.segments import Extent, extent_of, read_segment, rows_of
from consumers.backup.archive.surroundings import TopicSurroundings
from consumers.backup.vault.catalogue import Catalogue, verified_file
from consumers.backup.vault.copies import Source
from consumers.backup.vault.encryption import unseal, unwrap, wrap_name
from consumers.backup.vault.holdings import BasePiece, Segment, SnapshotPiece, Surroundings, WalPiece
from consumers.backup.vault.layout import wrap_path
from consumers.backup.vault.needs import has_expired, milliseconds, read_from, segments_until
from consumers.sink import Partition
from schemas.errors import BackupRefused, ConfigurationError


class ArchiveReader:
    """Each file is compared with the catalogue before it is decrypted; each segment with its entry after."""

    def __init__(self, source: Source, catalogue: Catalogue, holder: Identity) -> None:
        self.catalogue = catalogue
        self._source = source
        self._holder = holder
        self._recipient = str(holder.to_public())
        self._identities: dict[str, Identity] = {}

    def partitions(self, topic: str) -> list[Partition]:
        """The partitions of a topic that the backup covers."""
        return sorted(one for one in self.catalogue.segments if one.topic == topic)

    def records(self, partition: Partition, until: datetime, since: datetime | None = None) -> Iterator[ArchivedRecord]:
        """The same as `batches`, record by record."""
        return rows_of(self.batches(partition, until, since))

    def batches(self, partition: Partition, until: datetime, since: datetime | None = None) -> Iterator[RecordBatch]:
        """Every record of the partition whose timestamp is not after `until`, in the order of offsets.

        Of a topic that deletes by age, those that it had not deleted then; of a compacted one, at least the latest of
        each key. Segments that have none after `since` are not opened; of the others older records come too.

        Raises:
            ConfigurationError: the moment is no longer kept.
            BackupRefused: a file is missing, altered or not for this identity.
        """
        if has_expired(self.catalogue, partition, until):
            raise ConfigurationError(
                f"what {partition.topic}/{partition.number} held at {until.isoformat()} is no longer in the backup; "
                "`backup retention` shows which restore points are kept"
            )
        until_ms, since_ms = milliseconds(until), 0 if since is None else milliseconds(since)
        snapshot, _, oldest_ms = read_from(self.catalogue, partition, until_ms)
        if snapshot is not None:
            for piece in snapshot.pieces:
                yield from self.snapshot(piece)
        for segment in segments_until(self.catalogue, partition, until_ms):
            if segment.holds.latest_ms < since_ms:
                continue
            for batch in self.read(segment):
                yield batch.within(oldest_ms, until_ms)

    def snapshot(self, piece: SnapshotPiece) -> Iterator[RecordBatch]:
        """The records of a piece of a compacted partition's state. Raises as `batches`."""
        holds = piece.holds
        content = unseal(verified_file(self._source, piece.file), self._key(holds.set_id), piece.file.path)
        place = Partition(holds.topic, holds.partition)
        return read_segment(content, Extent(place, 0, holds.end_offset, holds.records))

    def read(self, segment: Segment) -> Iterator[RecordBatch]:
        """All records of one segment."""
        content = unseal(verified_file(self._source, segment.file), self._key(segment.holds.set_id), segment.file.path)
        return read_segment(content, extent_of(segment.holds))

    def piece(self, piece: BasePiece | WalPiece) -> bytes:
        """A piece of a base backup, or of a log. Raises as `batches`."""
        sealed = verified_file(self._source, piece.file)
        return unseal(sealed, self._key(piece.holds.set_id), piece.file.path)

    def surroundings(self, until: datetime) -> TopicSurroundings:
        """Configurations and offsets as last taken before `until` (or first after it), and every schema known.

        Schemas may have been registered after that; ids never change their schema, so the newest list is right.
        """
        every = self.catalogue.surroundings
        if not every:
            raise ConfigurationError("the backup has no schemas and topic configurations yet; wait for the next commit")
        before = [one for one in every if one.holds.taken_at <= until]
        chosen, newest = self._open(before[-1] if before else every[0]), self._open(every[-1])
        return chosen.model_copy(update={"subjects": newest.subjects})

    def _open(self, one: Surroundings) -> TopicSurroundings:
        content = unseal(verified_file(self._source, one.file), self._key(one.holds.set_id), one.file.path)
        try:
            return TopicSurroundings.model_validate_json(content)
        except ValidationError as exc:
            raise BackupRefused(f"{one.file.path} cannot be read: {exc}", reason="malformed") from exc

    def _key(self, set_id: str) -> Identity:
        if set_id not in self._identities:
            path = wrap_path(set_id, wrap_name(self._recipient))
            wrapped = self._source.get(path)
            if wrapped is None:
                raise BackupRefused(
                    f"the key of set {set_id} was not wrapped for {self._recipient} ({path} is not there): it is no "
                    "recipient of the policy of that time; have another recipient run `backup rewrap`",
                    reason="no_wrap",
                )
            self._identities[set_id] = unwrap(wrapped, self._holder, self.catalogue.sets[set_id])
        return self._identities[set_id]
