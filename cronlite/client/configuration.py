"""What does a configuration file say that counts for applications as well as for the command line?"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cronlite.client.quota import Quota
from cronlite.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from cronlite.alarms.channels import Channel


def parsed(path: str) -> dict[str, Any]:
    """Read a TOML file. Raises ConfigurationError."""
    try:
        toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
        with Path(path).open("rb") as file:
            table: dict[str, Any] = toml.load(file)
            return table
    except ModuleNotFoundError:
        raise ConfigurationError("--config needs the package tomli under Python 3.10: pip install tomli") from None
    except OSError as missing:
        raise ConfigurationError(f"--config {path}: {missing.strerror or missing}") from None
    except (ValueError, RecursionError) as refused:
        raise ConfigurationError(f"--config {path} is no TOML: {refused}") from None


def configured_channels() -> tuple[Channel, ...]:
    """Return the channels for alarms in the file that $CRONLITE_CONFIG names. Raises ConfigurationError."""
    path = os.environ.get("CRONLITE_CONFIG")
    return channels_of(path, parsed(path)) if path else ()


def channels_of(path: str, configuration: dict[str, Any]) -> tuple[Channel, ...]:
    """Return the [[alarms]] of a configuration. Raises ConfigurationError, whose text holds no URL."""
    from cronlite.alarms.channels import read_channels

    tables = configuration.get("alarms")
    try:
        return read_channels(tables) if isinstance(tables, list) else ()
    except InvalidInput as refused:
        raise ConfigurationError(f"{path}: {refused}") from None


def configured_quota() -> Quota:
    """Return the quota in the file that $CRONLITE_CONFIG names, or none. Raises ConfigurationError."""
    path = os.environ.get("CRONLITE_CONFIG")
    return quota_of(path, parsed(path)) if path else Quota()


def quota_of(path: str, configuration: dict[str, Any]) -> Quota:
    """Return the quota of a configuration. Raises ConfigurationError."""
    try:
        return Quota.read(configuration.get("quota"))
    except InvalidInput as refused:
        raise ConfigurationError(f"{path}: {refused}") from None
