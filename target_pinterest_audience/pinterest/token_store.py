"""Where the newest refresh tokens are kept between runs: Pinterest replaces them, and configurations do not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.pinterest.responses import UNREADABLE
from target_pinterest_audience.system.private_files import make_folder
from target_pinterest_audience.system.secret_file import SecretFile
from target_pinterest_audience.system.token_store import Keep, digest_of
from target_pinterest_audience.system.waits import waiting

_LOCK_SECONDS: Final = 300.0


class StoredTokens(msgspec.Struct, frozen=True):
    """What the credentials file holds, for any number of sign-ins."""

    refresh_tokens: dict[str, str]
    """The digest of a sign-in's origin (see `TokenStore`) → its newest refresh token."""


class CredentialsFile:
    """Keeps the newest refresh tokens: configurations still hold the ones that Pinterest has replaced."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is created when there is something to keep."""
        self._path = path
        self._file = SecretFile(path)

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
        """Write the newest refresh token of a sign-in, readable by the owner only.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        with self.room() as keep:
            keep(refresh_token, origin)

    @contextlib.contextmanager
    def room(self) -> Iterator[Keep]:
        """Make room for a token before one is asked for: Pinterest revokes the old one at once.

        Yields:
            What keeps a token, as `keep` does.

        Raises:
            ConfigurationError: there is no room, or the file cannot be written as it will have to be.
        """
        kept = self._read()

        def keep(refresh_token: str, origin: str) -> None:
            try:
                write(msgspec.json.encode(StoredTokens({**kept, digest_of(origin): refresh_token})))
            except OSError as error:
                msg = (
                    f"Pinterest has replaced the refresh token, and the new one could not be written to the "
                    f"credentials file {self._path} ({error.strerror}), although that was tried before. Sign in again, "
                    "with `pinterest-audience login`, as soon as it can be written."
                )
                raise ConfigurationError(msg) from None

        with contextlib.ExitStack() as stack:
            try:
                write = stack.enter_context(self._file.room())
            except OSError as error:
                msg = (
                    f"The credentials file {self._path} cannot be written ({error.strerror}), and without it the next "
                    "run could not sign in. Set `credentials_file` to a place that can be written."
                )
                raise ConfigurationError(msg) from None
            yield keep

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let other processes that want to exchange a token wait while the block runs.

        Raises:
            ConfigurationError: the file cannot be locked, or somebody has it for minutes.
        """
        with contextlib.ExitStack() as stack:
            try:
                reason = self._lock(stack)
            except TimeoutError:
                reason = "another process keeps it locked"
            if reason is not None:
                msg = (
                    f"The credentials file {self._path} cannot be written, since it cannot be locked ({reason}). Set "
                    "`credentials_file` to a place that can be written."
                )
                raise ConfigurationError(msg)
            self._file.recover(_is_whole)
            yield

    def _lock(self, stack: contextlib.ExitStack) -> str | None:
        """Take locks that the stack lets go of.

        Returns:
            Why that is not possible; None if it is.

        Raises:
            TimeoutError: another process has one for minutes.
        """
        from filelock import FileLock  # noqa: PLC0415 - only for who exchanges a token

        place, reason = self._file.place, None
        lock = FileLock(place.with_name(f".{place.name}.lock"), mode=0o600, timeout=_LOCK_SECONDS, thread_local=False)
        try:
            make_folder(place.parent)
            with waiting(f"another process renews the sign-in in {self._path}", _LOCK_SECONDS, after_seconds=2):
                lock.acquire(poll_interval=0.2)
            stack.callback(lock.release)
        except TimeoutError:
            raise
        # NotImplementedError is how filelock says that a file system has no locks.
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
        # Who has it mounted by itself, in a container say, does not see the other.
        is_locked = stack.enter_context(self._file.locked(_LOCK_SECONDS))
        return None if is_locked else reason

    def _read(self) -> dict[str, str]:
        try:
            content = self._file.read()
            return _decode(content) if content.strip() else {}
        except OSError as error:
            msg = (
                f"The credentials file {self._path} cannot be read ({error.strerror}). Let this user read and write "
                "it, or set `credentials_file` to another place."
            )
            raise ConfigurationError(msg) from None
        except UNREADABLE:
            msg = f"The credentials file {self._path} cannot be read. Repair it, or delete it and sign in again."
            raise ConfigurationError(msg) from None


def _decode(content: bytes) -> dict[str, str]:
    return msgspec.json.decode(content, type=StoredTokens).refresh_tokens


def _is_whole(content: bytes) -> bool:
    try:
        return bool(_decode(content))
    except UNREADABLE:
        return False


class Homeless:
    """Stands for a place where there is none: who needs no refresh token never notices."""

    def __str__(self) -> str:
        """Name what is missing."""
        return "`credentials_file`, which is not set"

    def newest(self, origin: str) -> str | None:  # noqa: ARG002 - the protocol's
        """Return None: nothing was ever kept."""
        return None

    def keep(self, refresh_token: str, origin: str) -> None:  # noqa: ARG002 - the protocol's
        """Raise a ConfigurationError. So does whatever else a token would be kept by."""
        self.ensure_writable()

    def ensure_writable(self) -> None:
        """Refuse to keep a token.

        Raises:
            ConfigurationError: always.
        """
        msg = (
            "There is no place for the refresh token: neither `credentials_file` nor `ledger_url` is set, and this "
            "user has no home directory that can be written to. Set `credentials_file`."
        )
        raise ConfigurationError(msg)

    @contextlib.contextmanager
    def room(self) -> Iterator[Keep]:
        """Refuse, as `ensure_writable` does."""
        self.ensure_writable()
        yield self.keep

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Refuse, as `ensure_writable` does."""
        self.ensure_writable()
        yield
