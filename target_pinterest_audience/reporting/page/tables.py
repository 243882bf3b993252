"""Tables that scroll sideways on a narrow screen, so that the page itself does not."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from target_pinterest_audience.reporting.page.elements import el


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> Element:
    """Return a table.

    Args:
        columns: the headings.
        rows: the cells of each row; None is shown as a dash.
        caption: what the table shows.
    """
    numeric = [any(isinstance(row[index], int) for row in rows) for index in range(len(columns))]
    styles = ["number" if each else "text" for each in numeric]
    head = [el("th", name, scope="col", class_=style) for name, style in zip(columns, styles, strict=True)]
    body = [
        el("tr", *(el("td", _shown(value), class_=style) for value, style in zip(row, styles, strict=True)))
        for row in rows
    ]
    made = el("table", el("thead", el("tr", *head)), el("tbody", *body), aria_label=caption)
    # `tabindex` makes the scrolling part reachable by keyboard; the caption stays outside of it.
    scrolling = el("div", made, class_="wide", tabindex=0, role="region", aria_label=caption)
    return el("div", el("p", caption, class_="quiet"), scrolling)


def details(summary: str, content: Element) -> Element:
    """Return content that the reader can unfold."""
    return el("details", el("summary", summary), content)


def _shown(value: object) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:,}" if isinstance(value, int) else str(value)
