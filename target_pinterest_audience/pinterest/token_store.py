"""Where the newest refresh tokens are kept between runs: Pinterest replaces them, and configurations do not."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.answers import UNREADABLE
from target_pinterest_audience.private_files import write_beside
from target_pinterest_audience.waits import waiting

_LOCK_SECONDS: Final = 300.0


class StoredTokens(msgspec.Struct, frozen=True):
    """What the credentials file holds, for any number of sign-ins."""

    refresh_tokens: dict[str, str]
    """The digest of a sign-in's origin (see `TokenStore`) → its newest refresh token."""


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

    def ensure_writable(self) -> None:
        """Make sure that a token can be kept, before one is asked for: Pinterest revokes the old one at once."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """Let other processes that want to exchange a token wait while the block runs."""
        ...


class CredentialsFile:
    """Keeps the newest refresh tokens: configurations still hold the ones that Pinterest has replaced."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is created when there is something to keep."""
        self._path = path

    def __str__(self) -> str:
        """Name the file."""
        return f"the credentials file {self._path}"

    def newest(self, origin: str) -> str | None:
        """Return the newest refresh token of a sign-in; None if none was kept.

        Raises:
            ConfigurationError: the file is there and cannot be read.
        """
        return self._read().get(digest_of(origin))

    def keep(self, refresh_token: str, origin: str) -> None:
        """Write the newest refresh token of a sign-in, atomically and readable by the owner only.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        self._write({**self._read(), digest_of(origin): refresh_token})

    def ensure_writable(self) -> None:
        """Make sure that a token can be kept, before one is asked for: Pinterest revokes the old one at once.

        Raises:
            ConfigurationError: a file cannot be written there.
        """
        self._write_beside(b"").unlink()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let other processes that want to exchange a token wait while the block runs.

        Raises:
            ConfigurationError: a file cannot be locked there, or somebody has it for minutes.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 - only for who exchanges a token

        path = self._path.with_name(f".{self._path.name}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, mode=0o600, timeout=_LOCK_SECONDS, thread_local=False)
            with waiting(f"another process renews the sign-in in {self._path}", _LOCK_SECONDS, after_seconds=2):
                lock.acquire(poll_interval=0.2)
        # NotImplementedError is how filelock says that a file system has no locks.
        except (OSError, NotImplementedError) as error:
            reason = "another process keeps it locked" if isinstance(error, Timeout) else type(error).__name__
            msg = f"The credentials file {self._path} cannot be locked ({reason}). Set `credentials_file` elsewhere."
            raise ConfigurationError(msg) from None
        try:
            yield
        finally:
            lock.release()

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=StoredTokens).refresh_tokens
        except FileNotFoundError:
            return {}
        except (OSError, *UNREADABLE):
            msg = f"The credentials file {self._path} cannot be read. Repair it, or delete it and sign in again."
            raise ConfigurationError(msg) from None

    def _write(self, refresh_tokens: dict[str, str]) -> None:
        self._write_beside(msgspec.json.encode(StoredTokens(refresh_tokens))).replace(self._path)

    def _write_beside(self, content: bytes) -> Path:
        try:
            return write_beside(self._path, content)
        except OSError as error:
            msg = (
                f"The credentials file {self._path} cannot be written ({error.strerror}), and without it the next run "
                "could not sign in. Set `credentials_file` to a place that can be written."
            )
            raise ConfigurationError(msg) from None


def digest_of(origin: str) -> str:
    """Return what the newest refresh token of a sign-in is kept under: an origin can be a secret itself."""
    return hashlib.sha256(origin.encode()).hexdigest()
