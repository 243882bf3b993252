"""Removes personal data, secrets and unsafe characters from every log line, including those of libraries.

The package's own messages hold no personal data and no secrets. But they quote names from Pinterest and from taps,
which may hold line breaks and terminal control sequences.
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
"""Shorter secrets would remove ordinary words."""

_WORD: Final = r"[^\s\"'<>(){}\[\],;:/\\@]{1,254}"
# A local part does not follow a slash or stand inside a word: the user and the host of a database URL stay.
_PATTERNS: Final = (
    (re.compile(rf"(?<![\w/.+-]){_WORD}@{_WORD}\.{_WORD}"), "[address]"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "[device id]"),
    (re.compile(r"\b(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})\b"), "[digest]"),
    (re.compile(r"(?<![\w+])\+[1-9](?:[ ./()-]*\d){7,14}(?!\d)"), "[phone number]"),
    (re.compile(r"\bpin[a-z]_[\w.-]+|\b(?:Bearer|Basic) [\w.~+/=-]+"), "[token]"),
)

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__)
"""The attributes of every log record. Any others are fields for structured logging."""

_secrets: set[str] = set()


def hide(secrets: Iterable[str | None]) -> None:
    """Remove secrets from every log line from now on."""
    _secrets.update(secret for secret in secrets if secret is not None and len(secret) >= _SHORTEST_SECRET)


def redact(text: str) -> str:
    """Return a text without addresses, phone numbers, device ids, digests, tokens, and the secrets passed to `hide`."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    for pattern, name in _PATTERNS:
        text = pattern.sub(name, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Redacts the output of another formatter, tracebacks included, and keeps each message on one line."""

    def __init__(self, inner: logging.Formatter) -> None:
        """Wrap a formatter."""
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the redacted line."""
        # A copy: other handlers may need the original record.
        copied = logging.makeLogRecord(record.__dict__)
        # Before the other formatter may encode it: in JSON, an address can hold escapes, and look like none.
        message = record.getMessage()
        safe = redact(one_line(message))
        if safe != message:
            # Else the arguments stay: the SDK's formatter shows those of a metric as fields.
            copied.msg, copied.args = safe, None
        for name in copied.__dict__.keys() - _STANDARD:
            field = getattr(copied, name)
            if isinstance(field, str):
                setattr(copied, name, redact(one_line(field)))
        # The other lines are a traceback; they must not look like log lines.
        return lines(redact(self._inner.format(copied))).replace("\n", "\n    ")


def redact_handlers() -> None:
    """Make every logging handler that exists now redact its output."""
    loggers = [logging.getLogger(), *(each for each in logging.root.manager.loggerDict.values())]
    for logger in loggers:
        for handler in getattr(logger, "handlers", []):
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter()))


def guard_exceptions(program: str) -> None:
    """Report an uncaught exception by its class and place only: its message or a variable could hold personal data."""

    def report(kind: type[BaseException], frames: TracebackType | None) -> None:
        sys.stderr.write(bug_message(program, kind, frames) + "\n")

    sys.excepthook = lambda kind, _, frames: report(kind, frames)
    threading.excepthook = lambda caught: report(caught.exc_type, caught.exc_traceback)
    sys.unraisablehook = lambda caught: report(caught.exc_type, caught.exc_traceback)
