"""The version of the program, even if it was copied instead of installed."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Final

_PACKAGE: Final = "target-pinterest-audience"


def program_version() -> str:
    """Return the installed version, else the version of the build, else `unknown`."""
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        pass
    try:
        return str(importlib.import_module("target_pinterest_audience._version").version)
    except (ImportError, AttributeError):
        return "unknown"


def user_agent() -> str:
    """Return the `User-Agent` header of requests."""
    return f"target-pinterest-audience/{program_version()}"
