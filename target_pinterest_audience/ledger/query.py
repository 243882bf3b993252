"""How the small tables of a ledger reach whichever database they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Query = Callable[..., list[tuple[Any, ...]]]
"""Runs one statement, with `?` for its parameters, and returns the rows of its result."""
