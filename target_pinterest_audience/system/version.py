"""Which version this is, also where it was not installed but copied."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Final

_PACKAGE: Final = "target-pinterest-audience"


def program_version() -> str:
    """Return the version that was installed, else the one that was noted when this was built; else `unknown`."""
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        pass
    try:
        return str(importlib.import_module("target_pinterest_audience._version").version)
    except (ImportError, AttributeError):
        return "unknown"


def user_agent() -> str:
    """Return what requests say they come from."""
    return f"target-pinterest-audience/{program_version()}"
