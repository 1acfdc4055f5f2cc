"""Loads what the libraries would load when a document needs it: no file can be opened then."""

from __future__ import annotations

import encodings
import gzip
import pkgutil
from importlib import import_module
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pdfminer
import pypdf
from pdfminer import cmapdb
from PIL import MpoImagePlugin


class _Kept:
    """Stands where the library has its module `gzip`: it opens its maps by name when a document needs one."""

    def __init__(self) -> None:
        folder = Path(cmapdb.__file__).resolve().parent / "cmap"
        self._files = {str(path): path.read_bytes() for path in folder.glob("*.gz")}

    def open(self, path: str, mode: str, encoding: str) -> TextIOWrapper:
        """The text of a map."""
        if mode != "rt" or path not in self._files:
            raise FileNotFoundError(path)
        return TextIOWrapper(gzip.open(BytesIO(self._files[path])), encoding=encoding)


def load() -> None:
    """Load modules, encodings and the maps of Asian characters; called once, by the template."""
    # A JPEG of several pictures would have it loaded.
    assert MpoImagePlugin.MpoImageFile.format
    for package in (encodings, pdfminer, pypdf):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            _try_module(module.name)
    setattr(cmapdb, "gzip", _Kept())  # noqa: B010 - the type checker knows `gzip` as a module


def _try_module(name: str) -> None:
    try:
        import_module(name)
    except ImportError:
        # It is for another system, or for a library that is not installed: documents would not get it either.
        return
