"""The native hot path of the capture, where it is built; else the same is done in Python, slower.

`python -m schemas.codec.native.build` builds it in place with the machine's C compiler, as `make install` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import ModuleType

EXTENSION_REVISION: Final = 2
"""Revision of the interface to the C sources (`REVISION` in module.c); an extension of another one is not used."""


def _found() -> ModuleType | None:
    try:
        from producers.cdc.native import _capture
    except ImportError:
        return None
    return _capture if _capture.REVISION == EXTENSION_REVISION else None


_extension: ModuleType | None = _found()


def extension() -> Any | None:
    """The extension module `_capture`, None where it is not built or of another revision."""
    return _extension
