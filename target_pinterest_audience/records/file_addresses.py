"""The addresses of files in BATCH messages. Only local files and object stores are allowed."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import IO, Final, NamedTuple
from urllib.parse import unquote

from target_pinterest_audience.errors import ConfigurationError

_LOCAL: Final = frozenset({"file", "local"})
_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""The object stores whose fsspec drivers are s3fs, gcsfs and adlfs."""

_CHAIN: Final = "::"
"""Separates chained addresses in fsspec: `zip://…::https://…` would read from the last one."""

_scheme_of = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):").match


class FileAddress(NamedTuple):
    """The address of a file that the target may open.

    Attributes:
        scheme: the object store's scheme, or `file` for a local file.
        path: a local path, or the whole address.
    """

    scheme: str
    path: str

    @classmethod
    def of(cls, url: str, where: str) -> FileAddress:
        """Parse an address, without any driver or network access.

        Args:
            url: a path or an address, as the tap gives it.
            where: names the file, as the subject of a sentence.

        Raises:
            ConfigurationError: the file is neither local nor in an object store.
        """
        found = _scheme_of(url)
        if found is None:
            return cls("file", url)
        scheme, rest = found[1].lower(), url[found.end() :]
        if scheme in _LOCAL and not rest.startswith(":"):
            return cls("file", _local_path(rest))
        if scheme in _STORES and rest.startswith("//") and _CHAIN not in rest:
            return cls(scheme, f"{scheme}:{rest}")
        if not rest.startswith(("//", ":")) and _exists(url):
            # A file in the working directory with a colon in its name.
            return cls("file", url)
        what = "a chained address" if _CHAIN in url else f"an address that begins with `{scheme}:`"
        msg = (
            f"{where} has {what}, which the target does not read. Let the tap write its files to this machine "
            "(a path or file://) or to an object store (s3://, gs:// or abfs://)."
        )
        raise ConfigurationError(msg)

    def open(self) -> IO[bytes]:
        """Open the file.

        Raises:
            OSError: the file cannot be opened, or is not a regular file.
            ImportError: the object store's driver is not installed.
            Exception: the driver raised this error.
        """
        if self.scheme == "file":
            return _open_local(self.path)
        import fsspec  # noqa: PLC0415 - only needed for files in an object store

        opened: IO[bytes] = fsspec.open(self.path, "rb").open()
        return opened


def _local_path(rest: str) -> str:
    """Return the path of a file address. Taps built on the SDK percent-encode special characters; others do not."""
    path = rest.removeprefix("//")
    if path.startswith("localhost/"):
        path = path.removeprefix("localhost")
    return path if _exists(path) else unquote(path)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def _open_local(path: str) -> IO[bytes]:
    """Open a regular file. A device might never end, and a named pipe might never begin."""
    # Without O_NONBLOCK, a named pipe without a writer would block here.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(0, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
