"""Builds the C extensions in place with the machine's C compiler: `python -m schemas.codec.native.build`.

`make install` runs it. Which there are, of which sources and how they are compiled, says `pyproject.toml`. Without a
compiler or the headers of Python it says so and ends well: the same is then done in Python, slower. With `--require`
that is an error; with `--sanitize` the build checks each access to memory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).parents[3]
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-Wno-unused-parameter")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")


class BuildFailed(Exception):
    """The extension could not be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension module as `pyproject.toml` declares it."""

    name: str
    sources: tuple[Path, ...]
    depends: tuple[Path, ...]
    arguments: tuple[str, ...]

    @property
    def target(self) -> Path:
        """Where it is imported from."""
        return ROOT.joinpath(*self.name.split(".")).with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))

    def is_current(self) -> bool:
        """Whether it is built, and newer than what it is built from."""
        if not self.target.exists():
            return False
        built_at = self.target.stat().st_mtime
        return all(path.stat().st_mtime <= built_at for path in (*self.sources, *self.depends))


def extensions() -> list[Extension]:
    """Every extension of this project; only in its sources is there a `pyproject.toml`."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    return [
        Extension(
            entry["name"],
            tuple(ROOT / path for path in entry["sources"]),
            tuple(ROOT / path for path in entry["depends"]),
            tuple(entry["extra-compile-args"]),
        )
        for entry in declared
    ]


def command(extension: Extension, target: Path, *, sanitize: bool = False) -> list[str]:
    """The compiler's command line.

    Raises:
        BuildFailed: there is no compiler, or Python's headers are missing.
    """
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise BuildFailed("there is no C compiler (cc, gcc or clang)")
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        raise BuildFailed(f"Python's headers are not in {include}")
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    optimizer = SANITIZERS if sanitize else ("-flto", "-DNDEBUG")
    return [
        compiler,
        "-fPIC",
        *extension.arguments,
        *optimizer,
        *WARNINGS,
        *shared,
        f"-I{include}",
        *(str(path) for path in extension.sources),
        "-o",
        str(target),
    ]


def build(extension: Extension, *, sanitize: bool = False) -> None:
    """Compile an extension and put it in place at once, so that no process sees half of it.

    Raises:
        BuildFailed: no compiler, no headers, or the compiler refused the sources.
    """
    target = extension.target.with_name(f"{extension.target.name}.{os.getpid()}")
    line = command(extension, target, sanitize=sanitize)
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise BuildFailed(f"the compiler failed: {shlex.join(line)}\n{done.stderr[-4000:]}")
        target.replace(extension.target)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BuildFailed(f"the compiler could not be run: {exc}") from exc
    finally:
        target.unlink(missing_ok=True)


@click.command()
@click.option("--require", is_flag=True, help="Fail where an extension cannot be built.")
@click.option("--force", is_flag=True, help="Build even what is newer than its sources.")
@click.option("--sanitize", is_flag=True, help="Build with the address and undefined-behaviour sanitizers.")
def main(require: bool, force: bool, sanitize: bool) -> None:
    """Build the C extensions of ordersync in place."""
    for extension in extensions():
        if extension.is_current() and not force and not sanitize:
            click.echo(f"{extension.name}: up to date")
            continue
        try:
            build(extension, sanitize=sanitize)
        except BuildFailed as exc:
            extension.target.unlink(missing_ok=True)
            click.echo(f"{extension.name}: not built, {exc}\nThe same is done in Python instead, slower.", err=True)
            if require:
                sys.exit(1)
        else:
            click.echo(f"{extension.name}: built")


if __name__ == "__main__":
    main()
