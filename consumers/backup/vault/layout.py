"""Where each file of a backup lies in a copy. Numbers are padded, so that names sort as numbers do."""

from __future__ import annotations

TARGETS, SNAPSHOTS, TIMESTAMPS, AUDIT, SEGMENTS = (
    "metadata/targets",
    "metadata/snapshot",
    "metadata/timestamp",
    "audit",
    "segments",
)
_FOLDERS = {"targets": TARGETS, "snapshot": SNAPSHOTS, "timestamp": TIMESTAMPS}


def metadata_path(role: str, version: int) -> str:
    """The signed metadata of a TUF role."""
    return root_path(version) if role == "root" else numbered(_FOLDERS[role], version)


def root_path(version: int) -> str:
    """What the officers signed."""
    return f"metadata/root/{version}.json"


def numbered(folder: str, number: int) -> str:
    """The file with a number in one of the folders that only grow."""
    return f"{folder}/{number:010d}.json"


def number_in(path: str) -> int | None:
    """The number of such a file; None for a foreign one."""
    stem = path.rpartition("/")[2].removesuffix(".json")
    return int(stem) if stem.isdecimal() and path.endswith(".json") else None


def wrap_path(set_id: str, name: str) -> str:
    """A set's secret key, wrapped for one recipient."""
    return f"sets/{set_id}/wraps/{name}"


def set_path(set_id: str) -> str:
    """The public half of a set's key."""
    return f"sets/{set_id}/recipient"


def segment_path(topic: str, partition: int, first: int, end: int, digest: str) -> str:
    """A segment; the digest of its content keeps a second attempt at the same range apart from the first."""
    return f"{SEGMENTS}/{topic}/{partition}/{first:019d}-{end:019d}-{digest[:16]}.avro.age"


def base_path(database: str, taken: str, file: str, number: int, digest: str) -> str:
    """A piece of a base backup."""
    return f"databases/{database}/{taken}/{file}/{number:06d}-{digest[:16]}.age"


def surroundings_path(digest: str) -> str:
    """Schemas, configurations and offsets at one time."""
    return f"surroundings/{digest[:32]}.json.age"


def snapshot_path(topic: str, partition: int, taken: str, number: int, digest: str) -> str:
    """A piece of the state of a compacted partition."""
    return f"snapshots/{topic}/{partition}/{taken}/{number:06d}-{digest[:16]}.avro.age"


def wal_path(database: str, timeline: int, first: int, end: int, digest: str) -> str:
    """A part of the write-ahead log of a database's server."""
    return f"wal/{database}/{timeline:08X}/{first:016X}-{end:016X}-{digest[:16]}.age"
