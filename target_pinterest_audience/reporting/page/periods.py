"""Runs put together so that a chart of them stays readable: each by itself, or all of an hour, a day, a week. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from target_pinterest_audience.reporting.page.words import day, ends, minute

T = TypeVar("T")

_MOST_BARS: Final = 93
_HOUR: Final = 3_600.0
_DAY: Final = 24 * _HOUR
_LENGTHS: Final = ((_HOUR, "hour"), (_DAY, "day"), (7 * _DAY, "week"), (28 * _DAY, "4 weeks"), (364 * _DAY, "52 weeks"))


class Period(NamedTuple):
    """Some runs that are shown as one.

    Attributes:
        title: when they were, in words.
        runs: their places among the runs.
    """

    title: str
    runs: Sequence[int]


class Periods(NamedTuple):
    """Runs put together.

    Attributes:
        each: what one of the periods is: `run`, `hour`, `day` and so on.
        periods: the periods, the oldest first, those without a run included.
        ends: the first and the last in words.
    """

    each: str
    periods: Sequence[Period]
    ends: tuple[str, str]


def put_together(starts: Sequence[float]) -> Periods:
    """Put runs together.

    Args:
        starts: when each began, in seconds since 1970, the oldest first; at least one.
    """
    if len(starts) <= _MOST_BARS:
        by_themselves = [Period(minute(start), [place]) for place, start in enumerate(starts)]
        return Periods("run", by_themselves, ends(starts[0], starts[-1]))
    first, last = min(starts), max(starts)
    length, each = next((some for some in _LENGTHS if (last - first) / some[0] < _MOST_BARS - 1), _LENGTHS[-1])
    begin = first - first % length
    members: dict[int, list[int]] = {}
    for place, start in enumerate(starts):
        members.setdefault(int((start - begin) // length), []).append(place)
    named = minute if length < _DAY else day
    count = max(members) + 1
    periods = [Period(named(begin + n * length), members.get(n, [])) for n in range(count)]
    return Periods(each, periods, ends(first, last))


def add_up(items: Iterable[T], counts: Callable[[T], Mapping[str, int]]) -> Counter[str]:
    """Return the sum of the counts of items."""
    total: Counter[str] = Counter()
    for item in items:
        total.update(counts(item))
    return total
