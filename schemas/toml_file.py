"""TOML files that people write: read, checked, and refused with what is wrong and where."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


def read_toml(model: type[M], path: Path, named: str, advice: str = "") -> M:
    """The content of a file; called where a worker or a command begins.

    `named` is how people call the file, `advice` what they do where it is not there: "correct ORDERSYNC_SHOPS".

    Raises:
        ConfigurationError: it cannot be read, or is not of this form; the message names every place.
    """
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as exc:
        told = f"; {advice}" if advice else ""
        raise ConfigurationError(f"{named} {path}: {exc.strerror}{told}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{named} {path} is not TOML: {exc}") from exc
    except ValidationError as exc:
        raise ConfigurationError(f"{named} {path}: {places_of(exc)}") from exc


def places_of(exc: ValidationError) -> str:
    """Each mistake behind the place where it is."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg'].removeprefix('Value error, ')}"
        for one in exc.errors()
    )
