"""Nobody, no secret and no forged line in a log: each is taken out of every line, whoever writes it.

Our own messages hold nobody and no secret: that is for those of libraries, and for mistakes. But they quote names from
Pinterest and from taps, which may hold line breaks and what steers a terminal.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Final

from target_pinterest_audience.errors import bug_message
from target_pinterest_audience.text.safe_text import lines, one_line

_SHORTEST_SECRET: Final = 6
"""Shorter ones would take ordinary words out."""

_WORD: Final = r"[^\s\"'<>(){}\[\],;:/\\@]{1,254}"
# What follows a slash or stands inside a word is no local part: the user and host of a database stay.
_PATTERNS: Final = (
    (re.compile(rf"(?<![\w/.+-]){_WORD}@{_WORD}\.{_WORD}"), "[address]"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "[device id]"),
    (re.compile(r"\b(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})\b"), "[digest]"),
    (re.compile(r"\bpin[a-z]_[\w.-]+|\b(?:Bearer|Basic) [\w.~+/=-]+"), "[token]"),
)

_secrets: set[str] = set()


def hide(secrets: Iterable[str | None]) -> None:
    """Take secrets out of every line from now on."""
    _secrets.update(secret for secret in secrets if secret is not None and len(secret) >= _SHORTEST_SECRET)


def redact(text: str) -> str:
    """Return a text without addresses, device ids, digests, tokens and the secrets that were given to `hide`."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    for pattern, name in _PATTERNS:
        text = pattern.sub(name, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Redacts what another formatter makes of a record, its traceback included, and keeps its message on one line."""

    def __init__(self, inner: logging.Formatter) -> None:
        """Wrap a formatter."""
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line."""
        # A copy: other handlers may want the record as it is.
        copied = logging.makeLogRecord(record.__dict__)
        copied.msg, copied.args = one_line(record.getMessage()), None
        # What follows is a traceback; its lines must not look like those of the log.
        return lines(redact(self._inner.format(copied))).replace("\n", "\n    ")


def redact_handlers() -> None:
    """Let every handler that is set up by now redact what it writes."""
    loggers = [logging.getLogger(), *(each for each in logging.root.manager.loggerDict.values())]
    for logger in loggers:
        for handler in getattr(logger, "handlers", []):
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter()))


def guard_exceptions(program: str) -> None:
    """Let what nobody caught be told by its class and place alone: its message, or a variable, could hold a person."""

    def tell(kind: type[BaseException], frames: TracebackType | None) -> None:
        sys.stderr.write(bug_message(program, kind, frames) + "\n")

    sys.excepthook = lambda kind, _, frames: tell(kind, frames)
    threading.excepthook = lambda caught: tell(caught.exc_type, caught.exc_traceback)
    sys.unraisablehook = lambda caught: tell(caught.exc_type, caught.exc_traceback)
