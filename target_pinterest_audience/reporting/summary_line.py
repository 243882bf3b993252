"""One line of the summary after a run: a sentence for people, and its numbers as fields of the log record.

Structured logging shows the fields (`docs/guides/logs-and-metrics.md`). They have the names of the report file's, and
hold no value of a record.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple


class SummaryLine(NamedTuple):
    """A line of the summary.

    Attributes:
        text: the sentence.
        fields: the fields. `summary` says what the line is about. A name must not be one of `logging.LogRecord`'s, such
            as `name`, nor one that Meltano gives to its logger, such as `event`.
        level: the log level.
    """

    text: str
    fields: Mapping[str, object]
    level: int = logging.INFO

    def log(self, logger: logging.Logger) -> None:
        """Log the line with its fields."""
        logger.log(self.level, "%s", self.text, extra=self.fields)
