"""Builds the extension in place with the machine's C compiler: `python -m schemas.codec.native.build`.

`make install` runs it. Without a compiler or the headers of Python it says so and ends well: the codec then works in
Python, slower. With `--require` that is an error; with `--sanitize` the build checks each access to memory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import click

FOLDER = Path(__file__).parent
EXTENSION = FOLDER / f"_avro{sysconfig.get_config_var('EXT_SUFFIX')}"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-Wno-unused-parameter")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")


class BuildFailed(Exception):
    """The extension could not be built; the message says why."""


def sources() -> list[Path]:
    """The C files and their header."""
    return sorted([*FOLDER.glob("*.c"), *FOLDER.glob("*.h")])


def is_current() -> bool:
    """Whether the built extension is newer than its sources."""
    return EXTENSION.exists() and all(path.stat().st_mtime <= EXTENSION.stat().st_mtime for path in sources())


def command(target: Path, *, sanitize: bool = False) -> list[str]:
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
    optimizer = SANITIZERS if sanitize else ("-O3", "-flto", "-fvisibility=hidden", "-DNDEBUG")
    c_files = [str(path) for path in sources() if path.suffix == ".c"]
    return [
        compiler,
        "-std=gnu11",
        "-fPIC",
        *optimizer,
        *WARNINGS,
        *shared,
        f"-I{include}",
        *c_files,
        "-o",
        str(target),
    ]


def build(*, sanitize: bool = False) -> None:
    """Compile the extension and put it in place at once, so that no process sees half of it.

    Raises:
        BuildFailed: no compiler, no headers, or the compiler refused the sources.
    """
    target = EXTENSION.with_name(f"{EXTENSION.name}.{os.getpid()}")
    line = command(target, sanitize=sanitize)
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise BuildFailed(f"the compiler failed: {shlex.join(line)}\n{done.stderr[-4000:]}")
        target.replace(EXTENSION)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BuildFailed(f"the compiler could not be run: {exc}") from exc
    finally:
        target.unlink(missing_ok=True)


@click.command()
@click.option("--require", is_flag=True, help="Fail where the extension cannot be built.")
@click.option("--force", is_flag=True, help="Build even if the extension is newer than its sources.")
@click.option("--sanitize", is_flag=True, help="Build with the address and undefined-behaviour sanitizers.")
def main(require: bool, force: bool, sanitize: bool) -> None:
    """Build the native codec of ordersync in place."""
    if is_current() and not force and not sanitize:
        click.echo(f"native codec: {EXTENSION.name} is up to date")
        return
    try:
        build(sanitize=sanitize)
    except BuildFailed as exc:
        EXTENSION.unlink(missing_ok=True)
        click.echo(
            f"native codec: not built, {exc}\nThe codec works in Python instead: the same, but slower.", err=True
        )
        sys.exit(1 if require else 0)
    click.echo(f"native codec: built {EXTENSION.name}")


if __name__ == "__main__":
    main()
