"""HTML as a tree of elements, so that all text in it is escaped."""

from __future__ import annotations

import re
from typing import Final
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None

_CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""Control characters, characters that change the writing direction, lone surrogates and noncharacters."""


def el(tag: str, *children: Child, **attributes: str | float) -> Element:
    """Return an element.

    Args:
        tag: its name.
        children: its content; None is left out.
        attributes: its attributes; an underscore becomes a hyphen, and one at the end is dropped.
    """
    made = Element(tag, {name.rstrip("_").replace("_", "-"): _clean(str(value)) for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + _clean(child)
            else:
                last.tail = (last.tail or "") + _clean(child)
        elif child is not None:
            made.append(child)
            last = child
    return made


def prose(text: str) -> list[Child]:
    """Return a text whose parts between backticks are shown as code."""
    parts = text.split("`")
    # An even number of parts has a backtick without its other half, as in a name.
    return [el("code", part) if index % 2 else part for index, part in enumerate(parts)] if len(parts) % 2 else [text]


def serialise(root: Element) -> str:
    """Return a document as text."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _clean(text: str) -> str:
    """Replace characters that an HTML document must not contain."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
