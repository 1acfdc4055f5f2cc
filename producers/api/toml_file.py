"""The TOML files that say who may use the API: read, checked, and refused with what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from schemas.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


def read_toml(model: type[M], path: Path, named: str, setting: str) -> M:
    """The content of a file; `named` is how people call it, `setting` is where its path comes from.

    Raises:
        ConfigurationError: it cannot be read, or is not of this form; the message names each place.
    """
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as exc:
        raise ConfigurationError(f"{named} {path}: {exc.strerror}; correct {setting}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{named} {path} is no TOML: {exc}") from exc
    except ValidationError as exc:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors())
        raise ConfigurationError(f"{named} {path}: {told}") from exc
