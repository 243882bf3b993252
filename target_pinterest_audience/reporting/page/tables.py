"""Tables that a phone can scroll without the page becoming wider than it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.page.elements import el


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> Element:
    """Return a table.

    Args:
        columns: its headings.
        rows: what stands under them; None is a dash.
        caption: what it shows.
    """
    numeric = [any(isinstance(row[place], int) for row in rows) for place in range(len(columns))]
    styles = ["number" if each else "text" for each in numeric]
    head = [el("th", name, scope="col", class_=style) for name, style in zip(columns, styles, strict=True)]
    body = [
        el("tr", *(el("td", _shown(value), class_=style) for value, style in zip(row, styles, strict=True)))
        for row in rows
    ]
    made = el("table", el("thead", el("tr", *head)), el("tbody", *body), aria_label=caption)
    # What scrolls must be reachable by the keyboard; the words above it need not scroll.
    scrolling = el("div", made, class_="wide", tabindex=0, role="region", aria_label=caption)
    return el("div", el("p", caption, class_="quiet"), scrolling)


def details(summary: str, content: Element) -> Element:
    """Return something that is shown on demand."""
    return el("details", el("summary", summary), content)


def _shown(value: object) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:,}" if isinstance(value, int) else str(value)
