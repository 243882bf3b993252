"""What every store of refresh tokens offers, wherever it keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

Keep = Callable[[str, str], None]
"""Keeps a refresh token, as the newest of the sign-in of an origin."""


class TokenStore(Protocol):
    """Where the newest refresh tokens are kept between runs. Every method raises a ConfigurationError if it cannot.

    A sign-in is known by its origin, which stays as its refresh tokens are replaced: `SignIn.origin`.
    """

    def newest(self, origin: str) -> str | None:
        """Return the newest refresh token of a sign-in; None if none was kept."""
        ...

    def keep(self, refresh_token: str, origin: str) -> None:
        """Keep the newest refresh token of a sign-in."""
        ...

    def room(self) -> AbstractContextManager[Keep]:
        """Make room for a token, and yield what keeps it; before it is asked for, since the old one is then revoked."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Let other processes that want to exchange a token wait while the block runs."""
        ...


def digest_of(origin: str) -> str:
    """Return what the newest refresh token of a sign-in is kept under: an origin can be a secret itself."""
    return hashlib.sha256(origin.encode()).hexdigest()
