"""Charts as SVG that stretches to any width. Scales are HTML beside it, so that text stays readable on a phone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.page.elements import Child, el
from target_pinterest_audience.reporting.page.formats import ends, short

_WIDTH: Final = 1_000
_HEIGHT: Final = 100
_SMALL_WIDTH: Final = 120
_SMALL_HEIGHT: Final = 20
_GAP: Final = 0.2
"""The share of a bar's space that stays empty."""
_ROOM_FOR_BARS: Final = 12
"""With fewer bars than this, each still gets this share of the width, so that bars do not become very wide."""
_MUCH_GREATER: Final = 4
_LEAST_DISTANCE: Final = 9.0
"""The smallest distance between two labels of a scale, in percent of its height."""


class Bar(NamedTuple):
    """A bar of a chart.

    Attributes:
        up: the value above zero.
        down: the value below zero.
        title: what the bar shows, in words.
        failed: whether to mark it, because a run failed.
    """

    up: float
    down: float
    title: str
    failed: bool = False


class Line(NamedTuple):
    """A line of a chart: a value over time.

    Attributes:
        points: Unix times and values, oldest first, at least one; each value holds until the next.
        style: the CSS class of the line.
    """

    points: Sequence[tuple[float, float]]
    style: str


def line_chart(lines: Sequence[Line], span: tuple[float, float], name: str, failed: Sequence[float] = ()) -> Element:
    """Return a chart of values over time.

    Args:
        lines: the values, which are counts, at least one. The scale of several begins at 0, so that the eye can compare
            them.
        span: the Unix times at both ends of the chart.
        name: what the chart shows, for screen readers.
        failed: the Unix times to mark, because runs failed then.
    """
    values = [value for line in lines for _, value in line.points]
    lowest, highest = min(values), max(values)
    # On a scale from zero, a thousand new members of a million would be invisible.
    bottom = _round_down(lowest, highest - lowest) if len(lines) == 1 and lowest > highest / 2 else 0.0
    top = bottom + _round_up(max(highest - bottom, 1.0))
    start, end = span
    length = max(end - start, 1.0)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        at, value = point
        x, y = (at - start) / length * _WIDTH, _HEIGHT - (value - bottom) / (top - bottom) * _HEIGHT
        return round(x), round(y, 1)

    marked = sorted({round((at - start) / length * _WIDTH) for at in failed if start <= at <= end})
    drawn = [el("path", d=f"M{x} 0V{_HEIGHT}", class_="failed", vector_effect="non-scaling-stroke") for x in marked]
    for points, style in lines:
        first, last = place(points[0]), place(points[-1])
        # Of several points at one place, the last is enough.
        steps = "".join(f"H{x}V{y}" for x, y in dict(map(place, points)).items())
        # A line of no length with round ends is a dot that does not stretch with the chart.
        paths = {"line": f"M{first[0]} {first[1]}{steps}", "dot": f"M{last[0]} {last[1]}h0"}
        drawn += [
            el("path", d=path, class_=f"{kind} {style}", vector_effect="non-scaling-stroke")
            for kind, path in paths.items()
        ]
    middle = (top + bottom) / 2
    scale = ((top, 0.0), (middle, 0.5), (bottom, 1.0))
    # Half a member is no count, so a scale of few has no label in its middle.
    marks = [(short(value), _HEIGHT * share) for value, share in scale if value == int(value)]
    words = f"The scale begins at {bottom:,.0f}, not at 0." if bottom else None
    return _frame(drawn, marks, ends(*span), name, words)


def bars_chart(bars: Sequence[Bar], first_and_last: tuple[str, str], name: str) -> Element:
    """Return a chart of bars, upwards and downwards from a line at zero.

    A first load would dwarf the days after it, so a few bars that are much greater than all others are cut off and
    listed below the chart.

    Args:
        bars: the bars, oldest first.
        first_and_last: the first and the last of them, in words.
        name: what the chart shows, for screen readers.
    """
    top, bottom = _limit([bar.up for bar in bars]), _limit([bar.down for bar in bars])
    if not top and not bottom:
        top = 1.0
    zero = top / (top + bottom) * _HEIGHT
    room = _WIDTH / max(len(bars), _ROOM_FOR_BARS)
    width = round(room * (1 - _GAP), 2)
    drawn = []
    for index, bar in enumerate(bars):
        left = round((index + _GAP / 2) * room, 2)
        group = el("g", el("title", bar.title))
        if bar.failed:
            group.append(el("rect", x=left, y=0, width=width, height=_HEIGHT, class_="failed"))
        for value, limit, style in ((bar.up, top, "up"), (bar.down, bottom, "down")):
            if value:
                # A small value must stay visible beside the greatest.
                height = round(max(min(value, limit) / (top + bottom) * _HEIGHT, 0.8), 2)
                upper = round(zero - height, 2) if style == "up" else round(zero, 2)
                group.append(el("rect", x=left, y=upper, width=width, height=height, class_=style))
        drawn.append(group)
    marks = [(short(top), 0.0)] if top else []
    marks.append(("0", zero))
    if bottom:
        marks.append((short(bottom), float(_HEIGHT)))
    cut = [bar.title for bar in bars if bar.up > top or bar.down > bottom]
    words = f"Cut off because they exceed the scale: {'; '.join(cut)}." if cut else None
    first, last = first_and_last
    if len(bars) < _ROOM_FOR_BARS:
        # The last bar is not at the right edge, where its caption would be.
        first, last = (first if first == last else f"{first} to {last}"), ""
    return _frame(drawn, marks, (first, last), name, words)


def sparkline(points: Sequence[tuple[float, float]], name: str) -> Element:
    """Return a small line without a scale.

    Args:
        points: Unix times and values, oldest first, at least one; each value holds until the next.
        name: what it shows, for screen readers.
    """
    start, length = points[0][0], max(points[-1][0] - points[0][0], 1.0)
    lowest, highest = (choose(value for _, value in points) for choose in (min, max))
    # Of many points, one for each unit of the width is enough: the last.
    last = {round((at - start) / length * _SMALL_WIDTH): value for at, value in points}
    room = max(highest - lowest, 1.0)
    # A line that stays level is in the middle.
    above = (room - (highest - lowest)) / 2
    heights = {x: round((highest - value + above) / room * _SMALL_HEIGHT, 1) for x, value in last.items()}
    line = "".join(f"H{x}V{y}" for x, y in heights.items())
    path = el("path", d=f"M0 {heights[0]}{line}", class_="line members", vector_effect="non-scaling-stroke")
    return el(
        "svg", el("title", name), path,
        viewBox=f"0 -2 {_SMALL_WIDTH} {_SMALL_HEIGHT + 4}", preserveAspectRatio="none", role="img", aria_label=name,
        class_="spark",
    )  # fmt: skip


def shares(rows: Sequence[tuple[Sequence[Child], int]], style: str) -> Element:
    """Return a list of counts, each with a bar whose length is the share of the greatest count.

    Args:
        rows: the label and the count of each.
        style: the CSS class of the bars.
    """
    greatest = max((count for _, count in rows), default=1)
    items = []
    for words, count in rows:
        bar = el("span", class_=f"share {style}", style=f"width:{max(count / greatest * 100, 0.5):.1f}%")
        head = el("span", el("span", *words), el("b", f"{count:,}"), class_="named")
        items.append(el("li", head, bar))
    return el("ul", *items, class_="shares")


def _frame(
    drawn: Sequence[Element], marks: Sequence[tuple[str, float]], beneath: tuple[str, str], name: str, words: str | None
) -> Element:
    """Return a chart with its scale and captions.

    Args:
        drawn: the shapes in the chart.
        marks: the labels of the scale, and the position of each in percent from the top.
        beneath: the captions below the chart, left and right.
        name: what the chart shows, for screen readers.
        words: a remark below the chart.
    """
    grid = [
        el("path", d=f"M0 {mark:.2f}H{_WIDTH}", class_="grid", vector_effect="non-scaling-stroke") for _, mark in marks
    ]
    svg = el(
        "svg", el("title", name), *grid, *drawn,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}", preserveAspectRatio="none", role="img", aria_label=name,
    )  # fmt: skip
    scale: list[Element] = []
    lowest = -_LEAST_DISTANCE
    for text, mark in marks:
        # A label closer than this would overlap the one above.
        if mark - lowest >= _LEAST_DISTANCE:
            scale.append(el("span", text, style=f"top:{mark:.1f}%"))
            lowest = mark
    return el(
        "div",
        el("div", *scale, class_="scale", aria_hidden="true"),
        el("div", svg, class_="plot"),
        el("div", *(el("span", text) for text in beneath), class_="ends", aria_hidden="true"),
        el("p", words, class_="quiet") if words is not None else None,
        class_="chart",
    )


def _limit(values: Sequence[float]) -> float:
    """Return the end of a scale: the greatest value, unless a few values are much greater than all others."""
    falling = sorted(filter(None, values), reverse=True)
    if not falling:
        return 0.0
    few = max(1, len(falling) // 20)
    rest = falling[few] if len(falling) > few else 0.0
    return _round_up(rest if rest and falling[0] > rest * _MUCH_GREATER else falling[0])


def _round_up(value: float) -> float:
    """Return the smallest round number that is not below a positive value."""
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= value * (1 - 1e-9))


def _round_down(value: float, reach: float) -> float:
    """Return a round number below a value; the wider the range of the values, the further below."""
    size = 10.0 ** math.floor(math.log10(max(reach, value / 1_000, 1.0)))
    return max(0.0, math.floor(value / size - 0.5) * size)
