"""Groups runs by hour, day or week, so that a chart of many runs stays readable. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from target_pinterest_audience.reporting.page.formats import day, ends, minute

T = TypeVar("T")

_MOST_BARS: Final = 93
_HOUR: Final = 3_600.0
_DAY: Final = 24 * _HOUR
_LENGTHS: Final = ((_HOUR, "hour"), (_DAY, "day"), (7 * _DAY, "week"), (28 * _DAY, "4 weeks"), (364 * _DAY, "52 weeks"))


class Period(NamedTuple):
    """Runs that the page shows as one.

    Attributes:
        title: the time of the period, in words.
        runs: the indices of its runs.
    """

    title: str
    runs: Sequence[int]


class Periods(NamedTuple):
    """All runs, grouped into periods.

    Attributes:
        each: the length of a period: `run`, `hour`, `day` and so on.
        periods: the periods, oldest first, including those without a run.
        ends: the first and the last time, in words.
    """

    each: str
    periods: Sequence[Period]
    ends: tuple[str, str]


def group_runs(starts: Sequence[float]) -> Periods:
    """Group runs into periods.

    Args:
        starts: Unix time when each began, oldest first; at least one.
    """
    if len(starts) <= _MOST_BARS:
        single = [Period(minute(start), [index]) for index, start in enumerate(starts)]
        return Periods("run", single, ends(starts[0], starts[-1]))
    first, last = min(starts), max(starts)
    length, each = next((some for some in _LENGTHS if (last - first) / some[0] < _MOST_BARS - 1), _LENGTHS[-1])
    begin = first - first % length
    members: dict[int, list[int]] = {}
    for index, start in enumerate(starts):
        members.setdefault(int((start - begin) // length), []).append(index)
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
