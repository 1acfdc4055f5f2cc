"""The settings that every sink's worker has."""

from __future__ import annotations

from pydantic import Field

from schemas.settings import WorkerSettings


class SinkSettings(WorkerSettings):
    """How a sink consumes; each sink adds its destination."""

    group_id: str = Field(description="Consumer group; one for each sink")
    topic_prefix: str = Field("", description="Start of each topic's name, where installations share a cluster")
    batch_size: int = Field(5000, gt=0, le=100_000, description="Most records written in one transaction")
    linger_seconds: float = Field(0.02, ge=0, le=10, description="How long a batch that is not full waits for more")
    queue_kbytes: int = Field(32_768, gt=0, description="Most memory for records fetched ahead, in KiB")
    session_timeout_seconds: float = Field(10.0, ge=1, description="When a silent worker loses its partitions")
    retry_limit_seconds: float = Field(10.0, gt=0, description="Longest pause between two attempts of one batch")

    def topic(self, name: str) -> str:
        """The name on the cluster of a topic of the catalogue."""
        return self.topic_prefix + name


class TransactionalSettings(SinkSettings):
    """How a sink consumes that writes to the same cluster, with its positions in the same transactions."""

    transaction_timeout_seconds: float = Field(
        60.0,
        ge=1,
        description="When the brokers abort what a killed worker left open and no other has taken over; more than a "
        "broker's restart takes",
    )
