"""Log lines and errors as a terminal shows them."""

from __future__ import annotations

import logging
from typing import TextIO

import click

from target_pinterest_audience.text.wrapping import fitted


class SentenceHandler(logging.StreamHandler[TextIO]):
    """Logs to standard error; on a terminal, lines end between words."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return fitted(super().format(record), self.stream)


def explain(error: click.ClickException) -> str:
    """Return what is wrong with a command line, and what to do.

    Args:
        error: what click found.
    """
    parameter = error.param if isinstance(error, click.BadParameter) else None
    if isinstance(parameter, click.Option) and isinstance(parameter.type, (click.IntRange, click.FloatRange)):
        # click's own words are "not a valid integer range" and "not in the range 1<=x<=100000".
        named = " ".join(filter(None, (parameter.opts[0], parameter.metavar)))
        return f"{named} takes {_numbers(parameter.type)}."
    return error.format_message()


def _numbers(numbers: click.IntRange | click.FloatRange) -> str:
    kind = "a whole number" if isinstance(numbers, click.IntRange) else "a number"
    if numbers.max is None:
        return f"{kind}, {numbers.min:,} or more"
    return f"{kind} from {numbers.min or 0:,} to {numbers.max:,}"
