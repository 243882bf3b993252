"""Makes foreign text safe to show: it can neither start a new line nor control a terminal. Pure.

Names of lists, audiences and accounts and error messages come from Pinterest; names of streams and columns from taps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

# Control characters (C0 and C1), line and paragraph separators, marks that change the direction of writing, and lone
# surrogates, which cannot be encoded. Letters of every script, joined emoji and no-break spaces do not change.
_UNSAFE: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_unsafe: Final[Callable[[str], object]] = re.compile(f"[{_UNSAFE}]").search
_replace: Final = re.compile(f"[{_UNSAFE}]").sub
_replace_but_newlines: Final = re.compile(f"(?!\n)[{_UNSAFE}]").sub


def one_line(text: str) -> str:
    r"""Return a text with every unsafe character escaped, such as `\n` or `\x1b`."""
    return _replace(_escape, text) if _unsafe(text) else text


def lines(text: str) -> str:
    """Return a text with every unsafe character escaped, except line breaks."""
    return _replace_but_newlines(_escape, text) if _unsafe(text) else text


def safe_json(encoded: bytes) -> bytes:
    r"""Return equivalent JSON with every unsafe character in its texts escaped as `\u` and its number."""
    text = encoded.decode()
    return _replace_but_newlines(lambda found: f"\\u{ord(found[0]):04x}", text).encode() if _unsafe(text) else encoded


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
