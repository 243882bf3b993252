"""Charts as SVG that stretches to any width, with scales in HTML beside it, so that words stay readable on a phone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.page.elements import el
from target_pinterest_audience.reporting.page.words import ends, short

_WIDTH: Final = 1_000
_HEIGHT: Final = 100
_GAP: Final = 0.2
"""The share of a bar's room that stays free."""
_ROOM_FOR_BARS: Final = 12
"""Fewer bars than this would be as broad as a hand."""
_MUCH_GREATER: Final = 4
_LEAST_DISTANCE: Final = 9.0
"""How far apart words of a scale stand at least, in percent of its height."""


class Bar(NamedTuple):
    """A bar of a chart.

    Attributes:
        up: what it shows upwards.
        down: what it shows downwards.
        title: what it is, in words.
    """

    up: float
    down: float
    title: str


def line_chart(points: Sequence[tuple[float, float]], span: tuple[float, float], name: str, style: str) -> Element:
    """Return a chart of a value over time.

    Args:
        points: moments and values, the oldest first, at least one; each value stays until the next.
        span: the first and the last moment, in seconds since 1970.
        name: what the chart shows, in words, for those who do not see it.
        style: the class of the line.
    """
    lowest, highest = min(value for _, value in points), max(value for _, value in points)
    # A list of a million that gained a thousand: from zero on, nobody would see it.
    bottom = _round_down(lowest, highest - lowest) if lowest > highest / 2 else 0.0
    top = bottom + _round_up(max(highest - bottom, 1.0))
    start, end = span
    length = max(end - start, 1.0)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        moment, value = point
        x, y = (moment - start) / length * _WIDTH, _HEIGHT - (value - bottom) / (top - bottom) * _HEIGHT
        return round(x, 1), round(y, 2)

    first, last = place(points[0]), place(points[-1])
    steps = "".join(f"H{x}V{y}" for x, y in map(place, points))
    # A line without length and with round ends is a dot that does not stretch.
    paths = {"line": f"M{first[0]} {first[1]}{steps}", "dot": f"M{last[0]} {last[1]}h0"}
    drawn = [
        el("path", d=path, class_=f"{kind} {style}", vector_effect="non-scaling-stroke") for kind, path in paths.items()
    ]
    middle = (top + bottom) / 2
    marks = [(short(value), _HEIGHT * share) for value, share in ((top, 0.0), (middle, 0.5), (bottom, 1.0))]
    words = f"The scale begins at {bottom:,.0f}, not at 0." if bottom else None
    return _frame(drawn, marks, ends(*span), name, words)


def bars_chart(bars: Sequence[Bar], first_and_last: tuple[str, str], name: str) -> Element:
    """Return a chart of bars, upwards and downwards from a line at zero.

    Beside a first load the days after it would be nothing, so a few bars that are much greater than all others are cut
    off, and told in words.

    Args:
        bars: the bars, the oldest first.
        first_and_last: the first and the last of them in words.
        name: what the chart shows, in words, for those who do not see it.
    """
    top, bottom = _limit([bar.up for bar in bars]), _limit([bar.down for bar in bars])
    if not top and not bottom:
        top = 1.0
    zero = top / (top + bottom) * _HEIGHT
    room = _WIDTH / max(len(bars), _ROOM_FOR_BARS)
    width = round(room * (1 - _GAP), 2)
    drawn = []
    for place, bar in enumerate(bars):
        left = round((place + _GAP / 2) * room, 2)
        group = el("g", el("title", bar.title))
        for value, limit, style in ((bar.up, top, "up"), (bar.down, bottom, "down")):
            if value:
                # What is not nothing stays visible beside the greatest.
                height = round(max(min(value, limit) / (top + bottom) * _HEIGHT, 0.8), 2)
                upper = round(zero - height, 2) if style == "up" else round(zero, 2)
                group.append(el("rect", x=left, y=upper, width=width, height=height, class_=style))
        drawn.append(group)
    marks = [(short(top), 0.0)] if top else []
    marks.append(("0", zero))
    if bottom:
        marks.append((short(bottom), float(_HEIGHT)))
    cut = [bar.title for bar in bars if bar.up > top or bar.down > bottom]
    words = f"Greater than the scale, and cut off: {'; '.join(cut)}." if cut else None
    return _frame(drawn, marks, first_and_last, name, words)


def shares(rows: Sequence[tuple[Sequence[Element | str], int]], style: str) -> Element:
    """Return a list of words, each with its count and a bar beneath that is as long as its share of the greatest.

    Args:
        rows: words and count.
        style: the class of the bars.
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
    """Put a chart together.

    Args:
        drawn: what is in it.
        marks: the words of its scale, and how far down each stands.
        beneath: what stands beneath it, left and right.
        name: what it shows.
        words: what else there is to say.
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
        # Else it would stand on the one above.
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
    """Return where a scale ends: at the greatest value, unless few are much greater than all others; 0 for nothing."""
    falling = sorted(filter(None, values), reverse=True)
    if not falling:
        return 0.0
    few = max(1, len(falling) // 20)
    rest = falling[few] if len(falling) > few else 0.0
    return _round_up(rest if rest and falling[0] > rest * _MUCH_GREATER else falling[0])


def _round_up(value: float) -> float:
    """Return the least number that is not below a positive value and that people like to read."""
    size = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= value * (1 - 1e-9))


def _round_down(value: float, reach: float) -> float:
    """Return a round number below a value, further below it the further the values reach."""
    size = 10.0 ** math.floor(math.log10(max(reach, value / 1_000, 1.0)))
    return max(0.0, math.floor(value / size - 0.5) * size)
