"""Stores the newest refresh tokens between runs: Pinterest replaces them, and the settings keep the old ones."""

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
from target_pinterest_audience.system.symlinks import ForeignFileError
from target_pinterest_audience.system.token_store import Keep, digest_of
from target_pinterest_audience.system.waits import waiting

_LOCK_SECONDS: Final = 300.0


class StoredTokens(msgspec.Struct, frozen=True):
    """The content of the credentials file, for any number of sign-ins."""

    refresh_tokens: dict[str, str]
    """The digest of a sign-in's origin → its newest refresh token."""


class CredentialsFile:
    """A token store in a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        """Create it for a path; the file is created with the first token."""
        self._path = path
        self._file = SecretFile(path)

    def __str__(self) -> str:
        """Name the file, for messages."""
        return f"the credentials file {self._path}"

    def newest(self, origin: str) -> str | None:
        """Return the newest refresh token of a sign-in; None if none is stored.

        Raises:
            ConfigurationError: the file exists and cannot be read.
        """
        return self._read().get(digest_of(origin))

    def keep(self, refresh_token: str, origin: str) -> None:
        """Store the newest refresh token of a sign-in.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        with self.room() as keep:
            keep(refresh_token, origin)

    @contextlib.contextmanager
    def room(self) -> Iterator[Keep]:
        """Reserve room for a token before it is requested: Pinterest revokes the old one at once.

        Yields:
            A function that stores a token, as `keep` does.

        Raises:
            ConfigurationError: the disk is full, or the file cannot be written.
        """
        kept = self._read()

        def keep(refresh_token: str, origin: str) -> None:
            try:
                write(msgspec.json.encode(StoredTokens({**kept, digest_of(origin): refresh_token})))
            except OSError as error:
                msg = (
                    f"Pinterest has replaced the refresh token, and the new one could not be written to the "
                    f"credentials file {self._path} ({error.strerror}), although a test had succeeded. Make the file "
                    "writable, then run `pinterest-audience login`."
                )
                raise ConfigurationError(msg) from None

        with contextlib.ExitStack() as stack:
            try:
                write = stack.enter_context(self._file.room())
            except OSError as error:
                msg = (
                    f"The credentials file {self._path} cannot be written ({error.strerror}), and without it the next "
                    "run could not sign in. Set `credentials_file` to a path that can be written."
                )
                raise ConfigurationError(msg) from None
            yield keep

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the file, so that other processes wait before they exchange a token.

        Raises:
            ConfigurationError: the file cannot be locked, or another process holds the lock for minutes.
        """
        # Other errors are found, and explained, where the file is locked and read.
        with contextlib.suppress(OSError), self._only_trusted():
            self._file.check_owners()
        with contextlib.ExitStack() as stack:
            try:
                reason = self._lock(stack)
            except TimeoutError:
                reason = "another process keeps it locked"
            if reason is not None:
                msg = (
                    f"The credentials file {self._path} cannot be written, because it cannot be locked ({reason}). "
                    "Set `credentials_file` to a path that can be written."
                )
                raise ConfigurationError(msg)
            self._file.recover(_is_whole)
            yield

    def _lock(self, stack: contextlib.ExitStack) -> str | None:
        """Take the locks; the stack releases them.

        Returns:
            Why they cannot be taken; None if they were taken.

        Raises:
            TimeoutError: another process holds one of them for minutes.
        """
        from filelock import FileLock  # noqa: PLC0415 - only runs that exchange a token need it

        reason = None
        try:
            path = self._file.path
            lock = FileLock(path.with_name(f".{path.name}.lock"), mode=0o600, timeout=_LOCK_SECONDS, thread_local=False)
            make_folder(path.parent)
            with waiting(f"another process renews the sign-in in {self._path}", _LOCK_SECONDS, after_seconds=2):
                lock.acquire(poll_interval=0.2)
            stack.callback(lock.release)
        except TimeoutError:
            raise
        # filelock raises NotImplementedError where a file system has no locks.
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
        # A process that has only this file mounted, as in a container, does not see the lock file beside it.
        is_locked = stack.enter_context(self._file.locked(_LOCK_SECONDS))
        return None if is_locked else reason

    def _read(self) -> dict[str, str]:
        try:
            with self._only_trusted():
                content = self._file.read()
            return _decode(content) if content.strip() else {}
        except OSError as error:
            msg = (
                f"The credentials file {self._path} cannot be read ({error.strerror}). Give this user the right to "
                "read and write it, or set `credentials_file` to another path."
            )
            raise ConfigurationError(msg) from None
        except UNREADABLE:
            msg = f"The credentials file {self._path} is damaged. Repair it, or delete it and sign in again."
            raise ConfigurationError(msg) from None

    @contextlib.contextmanager
    def _only_trusted(self) -> Iterator[None]:
        """Raise a ConfigurationError if another user can have put the file where it is."""
        try:
            yield
        except ForeignFileError as error:
            msg = (
                f"The credentials file {self._path} is not used, because another user could read the refresh token: "
                f"{error.strerror}. The setting is `credentials_file`."
            )
            raise ConfigurationError(msg) from None


def _decode(content: bytes) -> dict[str, str]:
    return msgspec.json.decode(content, type=StoredTokens).refresh_tokens


def _is_whole(content: bytes) -> bool:
    try:
        return bool(_decode(content))
    except UNREADABLE:
        return False


class NoTokenStore:
    """Takes the place of a store where none can be found. It fails only when a token has to be stored."""

    def __str__(self) -> str:
        """Name the setting that is missing."""
        return "`credentials_file`, which is not set"

    def newest(self, origin: str) -> str | None:  # noqa: ARG002 - the protocol's
        """Return None: nothing is stored."""
        return None

    def keep(self, refresh_token: str, origin: str) -> None:  # noqa: ARG002 - the protocol's
        """Raise a ConfigurationError."""
        self._refuse()

    @contextlib.contextmanager
    def room(self) -> Iterator[Keep]:
        """Raise a ConfigurationError."""
        self._refuse()
        yield self.keep

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Raise a ConfigurationError."""
        self._refuse()
        yield

    @staticmethod
    def _refuse() -> None:
        """Refuse to store a token.

        Raises:
            ConfigurationError: always.
        """
        msg = (
            "There is no place for the refresh token: neither `credentials_file` nor `ledger_url` is set, and this "
            "user has no writable home directory. Set `credentials_file`."
        )
        raise ConfigurationError(msg)
