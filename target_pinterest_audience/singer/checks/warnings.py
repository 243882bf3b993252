"""Warnings about a stream, each of which is logged once."""

from __future__ import annotations

import logging

from target_pinterest_audience.identities.tally import StreamTally


class StreamWarnings:
    """Logs the warnings about one stream, each of them once: a tap may repeat its SCHEMA a thousand times."""

    def __init__(self, stream: str, tally: StreamTally, logger: logging.Logger) -> None:
        """Prepare.

        Args:
            stream: the stream's name after stream maps.
            tally: holds the warnings that were logged, also by former sinks of the stream.
            logger: gets the warnings.
        """
        self._stream = stream
        self._tally = tally
        self._logger = logger

    def warn(self, message: str) -> None:
        """Log a warning, unless it was logged before."""
        if message not in self._tally.warnings:
            self._tally.warnings.add(message)
            self._logger.warning("Stream %s: %s", self._stream, message)
