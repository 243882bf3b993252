"""Which of the names under `streams` speak of a stream: its own name, and glob patterns. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from target_pinterest_audience.errors import ConfigurationError


def is_pattern(name: str) -> bool:
    """Tell whether a name can stand for several streams."""
    return re.search(r"[*?[]", name) is not None


def names_for(stream: str, names: Collection[str]) -> list[str]:
    """Return the names that speak of a stream, patterns first and its own last; upper and lower case differ."""
    patterns = [name for name in names if name != stream and is_pattern(name) and fnmatchcase(stream, name)]
    return [*patterns, stream] if stream in names else patterns


def overrides_for(
    stream: str, streams: Mapping[str, Mapping[str, Any]], exclusive: Collection[str]
) -> dict[str, Any] | None:
    """Return the settings that `streams` gives a stream: those of all patterns, and before them those of its own name.

    Args:
        stream: the stream's name.
        streams: name or pattern → its settings.
        exclusive: settings of which one takes the place of another.

    Returns:
        Setting → value; None if no name speaks of the stream.

    Raises:
        ConfigurationError: two patterns give one setting different values, and its own name does not decide.
    """
    names = names_for(stream, streams)
    if not names:
        return None
    own = streams.get(stream, {})
    decided = set(own) | (set(exclusive) if set(own) & set(exclusive) else set())
    given: dict[str, Any] = {}
    given_by: dict[str, tuple[str, str, Any]] = {}
    for pattern in names:
        for setting, value in streams[pattern].items():
            if setting in decided or pattern == stream:
                continue
            group = "the list" if setting in exclusive else setting
            other, rival, before = given_by.setdefault(group, (pattern, setting, value))
            if (rival, before) != (setting, value):
                msg = (
                    f"`streams.{other}.{rival}` and `streams.{pattern}.{setting}` disagree about stream {stream}: both "
                    f"patterns match it. Set `streams.{stream}.{setting}`."
                )
                raise ConfigurationError(msg)
            given[setting] = value
    return {**given, **own}
