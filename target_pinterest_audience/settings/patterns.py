"""Matches streams with the names and glob patterns under `streams`. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from target_pinterest_audience.errors import ConfigurationError


def is_pattern(name: str) -> bool:
    """Return whether a name is a glob pattern, which can match several streams."""
    return re.search(r"[*?[]", name) is not None


def names_for(stream: str, names: Collection[str]) -> list[str]:
    """Return the names that match a stream, in the same case: patterns first, its own name last."""
    patterns = [name for name in names if name != stream and is_pattern(name) and fnmatchcase(stream, name)]
    return [*patterns, stream] if stream in names else patterns


def overrides_for(
    stream: str, streams: Mapping[str, Mapping[str, Any]], exclusive: Collection[str]
) -> dict[str, Any] | None:
    """Return the settings that `streams` gives a stream: those of all matching patterns, overridden by its own name's.

    Args:
        stream: the stream's name.
        streams: name or pattern → its settings.
        exclusive: settings that exclude one another.

    Returns:
        Setting → value; None if no name matches the stream.

    Raises:
        ConfigurationError: two patterns give one setting different values, and the stream's own name does not decide.
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
                    f"`streams.{other}.{rival}` and `streams.{pattern}.{setting}` disagree about stream {stream}, "
                    f"which both patterns match. Set `streams.{stream}.{setting}`."
                )
                raise ConfigurationError(msg)
            given[setting] = value
    return {**given, **own}
