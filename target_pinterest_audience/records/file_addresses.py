"""Where the files of BATCH messages may lie: on this machine, or in an object store. Anything else is refused."""

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
"""How fsspec chains addresses: `zip://…::https://…` would read whatever the last one names."""

_scheme_of = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):").match


class FileAddress(NamedTuple):
    """A file that may be opened.

    Attributes:
        scheme: the object store's; `file` for a file on this machine.
        path: a path on this machine, or the whole address.
    """

    scheme: str
    path: str

    @classmethod
    def of(cls, url: str, where: str) -> FileAddress:
        """Read an address, without touching any library or network.

        Args:
            url: as the tap gives it: a path, or an address.
            where: which file it is, as the beginning of a sentence.

        Raises:
            ConfigurationError: it is neither a path nor an address in an object store.
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
            # A file with a colon in its name, in the working directory.
            return cls("file", url)
        what = "a chained address" if _CHAIN in url else f"an address that begins with `{scheme}:`"
        msg = (
            f"{where} is {what}, which the target does not read. Have the tap put its files on this machine "
            "(a path, or file://), or in an object store: s3://, gs:// or abfs://."
        )
        raise ConfigurationError(msg)

    def open(self) -> IO[bytes]:
        """Open the file.

        Raises:
            OSError: it cannot be opened, or is no file.
            Exception: whatever the object store's driver raises; an ImportError if it is not installed.
        """
        if self.scheme == "file":
            return _open_local(self.path)
        import fsspec  # noqa: PLC0415 - only for those with files in an object store

        opened: IO[bytes] = fsspec.open(self.path, "rb").open()
        return opened


def _local_path(rest: str) -> str:
    """Return the path in a file address. Taps built on the SDK percent-encode special characters, others do not."""
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
    """Open a regular file. A device or a named pipe would never end, or never begin."""
    # A named pipe that nobody writes to would otherwise block here.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(0, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
