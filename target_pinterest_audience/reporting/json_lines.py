"""A file of JSON lines that a run writes for its owner."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.system.symlinks import open_anew
from target_pinterest_audience.text.safe_text import safe_json


class JsonLinesFile:
    """A JSON Lines file about the newest run, readable by its owner only."""

    def __init__(self, path: Path, setting: str) -> None:
        """Start with an empty file, so that it never shows the lines of an earlier run.

        Args:
            path: the path of the file.
            setting: the setting that names it, for messages.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        self._setting = setting
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = open_anew(path)
        except OSError as error:
            msg = f"The file at `{setting}` cannot be written ({error.strerror})."
            raise ConfigurationError(msg) from None

    def write(self, lines: Iterable[bytes]) -> None:
        """Write lines without buffering, because a STATE that covers them may be emitted next.

        Args:
            lines: each is one JSON value.

        Raises:
            OutputError: the file cannot be written any more, for example because the disk is full.
        """
        left = memoryview(safe_json(b"".join(line + b"\n" for line in lines)))
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            msg = (
                f"The file at `{self._setting}` cannot be written any more ({error.strerror}). Free some space, then "
                "run again."
            )
            raise OutputError(msg) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
