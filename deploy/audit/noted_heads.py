"""Heads of the audit's chains in a file: noted today, held against the topic later, wherever the file was kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from deploy.audit.verifying import AuditReport
from schemas.audit_chain import AuditHead
from schemas.errors import ConfigurationError
from schemas.settings import SettingsPart


class _NotedHead(SettingsPart):
    writer: str
    chain_id: str
    sequence: int = Field(ge=1)
    hash: str = Field(pattern="^[0-9a-f]{64}$")


class NotedHeads(SettingsPart):
    """What the topic's chains ended with at one moment."""

    noted_at: AwareDatetime
    heads: list[_NotedHead]

    @classmethod
    def of(cls, report: AuditReport) -> NotedHeads:
        """Those that a verification found."""
        heads = [
            _NotedHead(writer=one.writer, chain_id=one.chain_id, sequence=one.sequence, hash=one.hash.hex())
            for one in report.heads.values()
        ]
        return cls(noted_at=datetime.now(UTC), heads=heads)

    @classmethod
    def read(cls, path: Path) -> NotedHeads:
        """Raises ConfigurationError where the file is no such note."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as exc:
            raise ConfigurationError(f"{path} holds no noted heads: {exc}") from exc

    def by_chain(self) -> dict[str, AuditHead]:
        """What a topic is held against."""
        return {
            one.chain_id: AuditHead(one.writer, one.chain_id, one.sequence, bytes.fromhex(one.hash))
            for one in self.heads
        }

    def write(self, path: Path) -> None:
        """Into a new file: what was noted once is evidence, and not written over.

        Raises:
            ConfigurationError: the file is there, or cannot be written.
        """
        try:
            with path.open("x") as file:
                file.write(self.model_dump_json(indent=1) + "\n")
        except OSError as exc:
            raise ConfigurationError(f"the heads cannot be noted in {path}: {exc}; name a new file") from exc


def newest_note(directory: Path) -> NotedHeads | None:
    """The newest of the notes that the worker `auditor` left in a directory; None where it left none yet.

    Raises:
        ConfigurationError: there is no such directory, or the newest file in it is no note.
    """
    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is no directory: make it, for the notes of the audit's chains")
    # Their names are times.
    files = sorted(directory.glob("*.json"))
    return NotedHeads.read(files[-1]) if files else None
