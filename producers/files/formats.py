"""Rows of delivered files: CSV, tab-separated, JSON lines, Avro containers; each may be compressed with gzip.

What a mapping reads from a file is what the file says: texts from CSV (an empty one is NULL), exact numbers and lists
from JSON, logical types from Avro.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import IO, Any, Final, cast
from zlib import error as ZlibError

import fastavro

from schemas.errors import ConfigurationError

Values = dict[str, Any]
"""One row: column to value."""
Rows = Iterator[tuple[int, Values]]
"""Number of the line or record, from 1, and its row."""

_LONGEST_FIELD: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What identifies the content of a file that was read to its end."""

    size_bytes: int
    sha256: str


class DeliveredRows:
    """The rows of one file; `digest` and `columns` hold when all have been read.

    Iterating raises `ConfigurationError`, with file and line, for anything that no whole delivery looks like: so a file
    that was cut off or is still being written is found before anything of it is delivered.
    """

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError where the name says no format."""
        name = path.name.removesuffix(".gz")
        self._suffix = Path(name).suffix.lower()
        if self._suffix not in _READERS:
            raise ConfigurationError(f"{path}: {self._suffix or 'no suffix'} is no known format; {_known()}")
        self._path = path
        self.digest: FileDigest | None = None
        self.columns: set[str] = set()
        """Every column that some row has."""

    def __iter__(self) -> Rows:
        try:
            with self._path.open("rb") as file:
                counted = _Digesting(file)
                stream = BufferedReader(counted)
                plain = gzip.GzipFile(fileobj=stream) if self._path.name.endswith(".gz") else stream
                yield from _READERS[self._suffix](cast("IO[bytes]", plain), self)
                counted.finish()
                self.digest = FileDigest(counted.size_bytes, counted.digest.hexdigest())
        except (OSError, EOFError, ZlibError) as exc:
            raise ConfigurationError(f"{self._path} cannot be read: {exc}") from exc
        except UnicodeDecodeError as exc:
            raise ConfigurationError(f"{self._path} is not UTF-8 text: {exc}") from exc

    def wrong(self, number: int, problem: object) -> ConfigurationError:
        """The error about one line or record."""
        return ConfigurationError(f"{self._path}, line {number}: {problem}. Nothing was delivered; is the file whole?")


class _Digesting(RawIOBase):
    """Passes a file's bytes on and digests them on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer)  # type: ignore[attr-defined]  # a file opened for reading bytes has it
        self.digest.update(memoryview(buffer)[:count])
        self.size_bytes += count
        return int(count)

    def finish(self) -> None:
        """Digest what a reader left at the end."""
        while self.readinto(bytearray(65_536)):
            pass


def _separated(delimiter: str) -> Callable[[IO[bytes], DeliveredRows], Rows]:
    def read(stream: IO[bytes], file: DeliveredRows) -> Rows:
        csv.field_size_limit(_LONGEST_FIELD)
        text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            header = next(reader, None)
            if not header:
                raise file.wrong(1, "there is no line with the columns' names")
            if len(set(header)) < len(header) or "" in header:
                raise file.wrong(1, f"a column has no name, or one that another has: {', '.join(header)}")
            file.columns.update(header)
            for fields in reader:
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise file.wrong(reader.line_num, f"{len(fields)} fields for {len(header)} columns")
                values = (field or None for field in fields)
                yield reader.line_num, dict(zip(header, values, strict=True))
        except csv.Error as exc:
            raise file.wrong(reader.line_num, exc) from exc

    return read


def _json_lines(stream: IO[bytes], file: DeliveredRows) -> Rows:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            # Money must not pass through a float.
            row = json.loads(line, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, RecursionError) as exc:
            raise file.wrong(number, f"not JSON: {exc}") from exc
        if not isinstance(row, dict):
            raise file.wrong(number, "not a JSON object")
        file.columns.update(row)
        yield number, row


def _avro(stream: IO[bytes], file: DeliveredRows) -> Rows:
    number = 0
    try:
        for number, record in enumerate(fastavro.reader(stream), 1):
            if not isinstance(record, dict):
                raise file.wrong(number, "not an Avro record")
            file.columns.update(record)
            yield number, cast("Values", record)
    except ConfigurationError:
        raise
    except Exception as exc:
        # fastavro raises whatever it stumbles over: a ValueError, an EOFError, a KeyError.
        raise file.wrong(number + 1, f"not an Avro container: {exc or type(exc).__name__}") from exc


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


_READERS: Final[dict[str, Callable[[IO[bytes], DeliveredRows], Rows]]] = {
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".avro": _avro,
}


def _known() -> str:
    return f"there are {', '.join(_READERS)}, each also with .gz"
