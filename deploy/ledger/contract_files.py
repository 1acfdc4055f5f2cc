"""Reads a contract file: terms and events in TOML or JSON."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.errors import ConfigurationError
from streams.rules.accounting.contract.events import ContractFile


def read_contract(path: Path) -> ContractFile:
    """The contract in `path`; numbers are exact decimals.

    Raises:
        ConfigurationError: no such file, not TOML or JSON, or terms and events that are not understood, each named.
    """
    try:
        return ContractFile.model_validate(_parsed(path))
    except OSError as exc:
        raise ConfigurationError(f"{path}: {exc.strerror}; name a contract file or an order id") from exc
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc
    except ValidationError as exc:
        reasons = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors())
        raise ConfigurationError(f"{path} is no contract file: {reasons} (see deploy/guide/ledger.md)") from exc


def _parsed(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text, parse_float=Decimal)
    return tomllib.loads(text, parse_float=Decimal)
