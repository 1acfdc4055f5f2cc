"""Settings of the processes that create and keep the archive; each has a key of its own, and only that."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from schemas.settings import DatabaseSettings, WorkerSettings


class ArchiveSettings(WorkerSettings):
    """The creator: reads topics, writes segments and commits."""

    policy: Path = Field(description="The backup policy")
    root: Path = Field(description="What the officers signed, as they gave it out")
    creator_key: Path = Field(description="The creator's signing key")
    databases: dict[str, DatabaseSettings] = Field(
        {}, description="A database on the server of each database of the policy, for a role that may replicate"
    )
    postgres_programs: Path | None = Field(None, description="Directory of pg_basebackup; null finds it in PATH")
    topic_prefix: str = Field("", description="Start of each topic's name, where installations share a cluster")
    queue_kbytes: int = Field(65_536, gt=0, description="Most memory for records fetched ahead, in KiB")
    retry_limit_seconds: float = Field(10.0, gt=0, description="Longest pause between two attempts")

    def topic(self, name: str) -> str:
        """The name on the cluster of a topic of the catalogue."""
        return self.topic_prefix + name


class KeeperSettings(WorkerSettings):
    """The keeper: proves commits and signs which one is the newest.

    `data_dir` must survive: what it signed is remembered there.
    """

    policy: Path = Field(description="The backup policy")
    root: Path = Field(description="What the officers signed, as they gave it out")
    keeper_key: Path = Field(description="The keeper's signing key")
    interval_seconds: float = Field(1.0, gt=0, le=60, description="How often it looks for new commits")
    retry_limit_seconds: float = Field(10.0, gt=0, description="Longest pause between two attempts")
