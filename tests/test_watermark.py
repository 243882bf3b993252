"""The earliest and the latest line at which something waits."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.watermark import Watermark

STEPS = st.lists(
    st.tuples(st.sampled_from(["wait", "accept", "ask"]), st.integers(0, 4), st.integers(0, 30)), max_size=60
)


@given(STEPS)
def test_it_finds_what_a_look_at_all_lists_finds(steps: list[tuple[str, int, int]]) -> None:
    waiting: defaultdict[int, list[int]] = defaultdict(list)
    watermark = Watermark(lambda number: waiting[number])
    for what, number, line in steps:
        if what == "wait":
            watermark.note(number, line)
            waiting[number].append(line)
        elif what == "accept" and waiting[number]:
            waiting[number].remove(min(waiting[number]))
        elif what == "ask":
            lines = [each for lines in waiting.values() for each in lines]
            assert (watermark.earliest, watermark.latest) == (min(lines, default=None), max(lines, default=None))


def test_a_look_does_not_go_through_all_lists() -> None:
    looks = 0
    waiting: dict[int, list[int]] = {}

    def lines_of(number: int) -> list[int]:
        nonlocal looks
        looks += 1
        return waiting[number]

    watermark = Watermark(lines_of)
    for number in range(1000):
        waiting[number] = []
        watermark.note(number, number)
        waiting[number].append(number)
        assert (watermark.earliest, watermark.latest) == (0, number)
    for number in range(1000):
        waiting[number].clear()
        assert watermark.earliest == (number + 1 if number < 999 else None)
    assert looks < 6000


def test_what_it_keeps_does_not_grow_with_the_stream() -> None:
    waiting: dict[int, list[int]] = {0: [0], 1: []}
    watermark = Watermark(lambda number: waiting[number])
    watermark.note(0, 0)
    for line in range(1, 5000):
        watermark.note(1, line)
        waiting[1] = [line]
        assert (watermark.earliest, watermark.latest) == (0, line)
    assert len(watermark._earliest) + len(watermark._latest) < 200
