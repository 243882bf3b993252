"""Draws the rates of a run of the benchmarks against what they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Line


@dataclass(frozen=True, slots=True)
class Curve:
    """One thing that was measured several times.

    Attributes:
        name: what was done.
        depends_on: what was varied, with its unit.
        points: the value of that, and the line of the table.
        logarithmic: whether that grows by factors.
    """

    name: str
    depends_on: str
    points: Sequence[tuple[int, Line]]
    logarithmic: bool = True


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Draw each curve, and the floor that was taken beside it, into one picture."""
    # Not before all is measured: the memory of this process counts as the peak of those that it starts.
    from matplotlib.figure import Figure  # noqa: PLC0415 - see above

    figure = Figure(figsize=(4.2 * len(curves), 3.6), layout="constrained")
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, curve in zip(axes, curves, strict=True):
        values = [value for value, _ in curve.points]
        axis.plot(values, [line.rate for _, line in curve.points], "o-", label=curve.name)
        axis.plot(values, [line.rate / line.floor for _, line in curve.points], "s:", color="gray", label="the floor")
        axis.set_xscale("log" if curve.logarithmic else "linear")
        axis.set_xlabel(curve.depends_on)
        axis.set_ylabel("records/s")
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(lambda rate, _: f"{rate:,.0f}")
        axis.legend(loc="upper left", fontsize="small")
    figure.savefig(path, metadata={"Date": None})
