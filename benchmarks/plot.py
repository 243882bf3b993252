"""Draws the rates that the benchmarks measured, by their parameter: plot.py CURVES.json PICTURE.svg.

It has a virtual environment of its own, because the measured processes would import some of its packages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure


def main() -> None:
    """Draw each curve and its floor into one picture."""
    source, picture = sys.argv[1:]
    curves = json.loads(Path(source).read_text(encoding="utf-8"))
    figure = Figure(figsize=(4.2 * len(curves), 3.6), layout="constrained")
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, curve in zip(axes, curves, strict=True):
        axis.plot(curve["values"], curve["rates"], "o-", label=curve["name"])
        axis.plot(curve["values"], curve["floors"], "s:", color="gray", label="the floor")
        axis.set_xscale("log" if curve["logarithmic"] else "linear")
        axis.set_xlabel(curve["depends_on"])
        axis.set_ylabel("records/s")
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(lambda rate, _: f"{rate:,.0f}")
        axis.legend(loc="upper left", fontsize="small")
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
