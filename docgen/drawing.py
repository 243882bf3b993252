"""Draws boxes and arrows as SVG that can be read on GitHub and on the site, in light and dark, without a request.

A picture has a background of its own, since a page may be dark where the reader's system is light.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

_LINE: Final = 18
_CODE: Final = re.compile("`([^`]+)`")
_STYLE: Final = """
 text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #424a53; }
 .name { font-weight: 600; font-size: 15px; fill: #1f2328; } .code { font-family: ui-monospace, monospace; }
 .paper { fill: #fff; stroke: #d0d7de; } .frame { fill: #f6f8fa; stroke: #d0d7de; }
 .box { fill: #fff; stroke: #57606a; } .ours { fill: #dff5f1; stroke: #0d8578; }
 .good { fill: #dafbe1; stroke: #1a7f37; } .bad { fill: #ffebe9; stroke: #cf222e; }
 .arrow { fill: none; stroke: #57606a; stroke-width: 2; } .head { fill: #57606a; }
 @media (prefers-color-scheme: dark) {
  text { fill: #b1bac4; } .name { fill: #f0f6fc; }
  .paper { fill: #0d1117; stroke: #30363d; } .frame { fill: #161b22; stroke: #30363d; }
  .box { fill: #0d1117; stroke: #8b949e; } .ours { fill: #0c3b36; stroke: #39b5a6; }
  .good { fill: #12361d; stroke: #3fb950; } .bad { fill: #4a1a1d; stroke: #f85149; }
  .arrow { stroke: #8b949e; } .head { fill: #8b949e; }
 }
"""

Point = tuple[float, float]


class Drawing:
    """One picture: the size and the title first, then what is drawn."""

    def __init__(self, width: int, height: int, title: str) -> None:
        """Begin a picture.

        Args:
            width: in pixels. A phone shows 360 of them, so wide pictures cannot be read there.
            height: in pixels.
            title: what the picture says, for those who cannot see it.
        """
        beginning = f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
orient="auto-start-reverse"><path class="head" d="M0 0L10 5L0 10z"/></marker></defs>
<rect class="paper" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="10"/>"""
        self._parts = [beginning]

    def frame(self, x: float, y: float, width: float, height: float, name: str) -> None:
        """Draw a frame around boxes, with its name in its upper left corner."""
        self._parts.append(f'<rect class="frame" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>')
        self.text(x + 12, y + 20, name, anchor="start")

    def box(self, place: Point, size: Point, lines: Sequence[str], kind: str = "box") -> None:
        """Draw a box with centred lines; the first one is its name.

        Args:
            place: its upper left corner.
            size: its width and height.
            lines: its name, and what it says below; what is in backticks is code.
            kind: `box`, `ours` for this project's own, `good` or `bad`.
        """
        (x, y), (width, height) = place, size
        self._parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="7"/>')
        top = y + (height - _LINE * len(lines)) / 2 + 14
        for at, line in enumerate(lines):
            self.text(x + width / 2, top + _LINE * at, line, kind="name" if at == 0 else "")

    def text(self, x: float, y: float, line: str, *, anchor: str = "middle", kind: str = "") -> None:
        """Write a line; what is in backticks is code."""
        css = f' class="{kind}"' if kind else ""
        words = _CODE.sub(r'<tspan class="code">\1</tspan>', escape(line))
        self._parts.append(f'<text{css} x="{x:g}" y="{y:g}" text-anchor="{anchor}">{words}</text>')

    def arrow(self, *points: Point, both: bool = False) -> None:
        """Draw an arrow along points.

        Args:
            points: from the first to the last.
            both: whether it has a head at its beginning too.
        """
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        start = ' marker-start="url(#head)"' if both else ""
        self._parts.append(f'<path class="arrow" d="{path}"{start} marker-end="url(#head)"/>')

    def svg(self) -> str:
        """Return the picture."""
        return "\n".join([*self._parts, "</svg>\n"])
