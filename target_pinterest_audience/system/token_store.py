"""The interface of a store of refresh tokens, in a file or in a database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

Keep = Callable[[str, str], None]
"""Stores a refresh token as the newest one of the sign-in with an origin."""


class TokenStore(Protocol):
    """Stores the newest refresh tokens between runs. Every method raises a ConfigurationError if the store fails.

    The key of a sign-in is its origin, `SignIn.origin`: it stays the same while the refresh tokens are replaced.
    """

    def newest(self, origin: str) -> str | None:
        """Return the newest refresh token of a sign-in; None if none is stored."""
        ...

    def keep(self, refresh_token: str, origin: str) -> None:
        """Store the newest refresh token of a sign-in."""
        ...

    def room(self) -> AbstractContextManager[Keep]:
        """Reserve room for a token before it is requested, since that revokes the old one; yield what stores it."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Lock the store, so that other processes wait before they exchange a token."""
        ...


def digest_of(origin: str) -> str:
    """Return the key under which a sign-in is stored: its origin can be a secret itself."""
    return hashlib.sha256(origin.encode()).hexdigest()
