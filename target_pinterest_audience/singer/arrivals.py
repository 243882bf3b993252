"""Compares the streams of a run with the names in the settings: which may feed a list, and which names match none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.marks import in_other_capitals
from target_pinterest_audience.identities.types import IdentityType
from target_pinterest_audience.routing.near_names import Candidate, nearest_column, resembles
from target_pinterest_audience.settings import Settings, UnmappedStreams
from target_pinterest_audience.settings.patterns import names_for

MELTANO_TEST_STREAM: Final = "meltano_test_stream"
"""What `meltano config test` sends; it has no identities and must pass whatever the settings name."""

_SOURCE: Final = "__source__"
_ALIAS: Final = "__alias__"
_MOST_NAMES: Final = 20
"""How many names a message lists at most."""


class Arrivals:
    """The streams of one run, and what stream maps make of them.

    An *output* is a stream after stream maps. One stream can have several outputs, and several streams one.
    """

    def __init__(self, settings: Settings, stream_maps: Mapping[str, Any]) -> None:
        """Prepare.

        Args:
            settings: the settings.
            stream_maps: the setting of that name.
        """
        self._settings = settings
        self._maps = {name: each for name, each in stream_maps.items() if not name.startswith("__")}
        self._came: set[str] = set()
        self._judged: set[tuple[str, ...]] = set()
        """The streams with their outputs that were held against the settings."""
        self._met: set[str] = set()
        """The names under `streams` that spoke of an output."""
        self._mapped: set[str] = set()
        """The names under `stream_maps` that spoke of a stream."""
        self._identified: list[tuple[str, str]] = []
        """The streams with identities, and the names of their outputs, in the order in which they came."""
        self._candidates: dict[str, Candidate | None] = {}
        """Output without identities → the column that most looks like one."""

    def arrive(self, stream: str, outputs: Sequence[str]) -> None:
        """Take note of a stream.

        Args:
            stream: its name as the tap gives it.
            outputs: the names that stream maps make of it; none if they drop it.

        Raises:
            ConfigurationError: the settings likely mean it by another name, so that they would not be obeyed.
        """
        if stream == MELTANO_TEST_STREAM:
            return
        if (stream, *outputs) in self._judged:
            # A tap may repeat its SCHEMA a thousand times.
            return
        self._came.add(stream)
        self._mapped.update(name for name in self._maps if _speaks_of(self._source(name), stream))
        self._met.update(name for output in outputs for name in names_for(output, self._settings.streams))
        self._refuse_near_map(stream, outputs)
        self._refuse_near_settings(stream, outputs)
        self._judged.add((stream, *outputs))

    def _refuse_near_map(self, stream: str, outputs: Sequence[str]) -> None:
        for name in self._maps:
            source = self._source(name)
            if name in self._mapped:
                continue
            renamed = [each for each in outputs if each != stream and resembles(source, each)]
            if renamed:
                msg = (
                    f"`stream_maps` has `{source}`, but another map already makes {renamed[0]} of stream {stream}. "
                    "Stream maps apply to streams as the tap names them: write all into one map."
                )
                raise ConfigurationError(msg)
            if stream not in self._sources and resembles(source, stream):
                msg = (
                    f"`stream_maps` has `{source}`, and stream {stream} came, which that name does not match: filters "
                    f"would not apply. Write `{stream}` there, or rename the map if it means another stream."
                )
                raise ConfigurationError(msg)

    def _refuse_near_settings(self, stream: str, outputs: Sequence[str]) -> None:
        names = self._settings.streams
        if outputs and all(output in names for output in outputs):
            return
        for name in names:
            if name in self._met or (name == stream and not outputs):
                # What stream maps drop by its exact name, somebody meant to drop.
                continue
            if name == stream:
                came = f"stream maps make {' and '.join(outputs)} of that stream"
            else:
                near = next((each for each in (*outputs, stream) if each not in names and resembles(name, each)), None)
                if near is None:
                    continue
                came = f"stream {near} came, which that name does not match"
            right = " or ".join(f"`{each}`" for each in outputs or [stream])
            msg = (
                f"`streams` has settings for `{name}`, and {came}: the settings would not apply, and a stream that "
                f"removes people would add them. Write {right} there, or rename the entry if it means another stream."
            )
            raise ConfigurationError(msg)

    def admit(self, stream: str, output: str) -> None:
        """Let an output that has identities feed lists.

        Args:
            stream: the stream's name as the tap gives it.
            output: its name after stream maps.

        Raises:
            ConfigurationError: another output has identities too, and the settings do not name this one.
        """
        if (stream, output) in self._identified:
            return
        if self._identified and not self._is_named(stream, output):
            _, first = self._identified[0]
            msg = (
                f"Stream {output} has identity columns, and so has stream {first}, but `streams` does not name "
                f"{output}: its people may not be meant for a list. Deselect it in the tap, or confirm it with "
                f'"streams": {{"{output}": {{}}}}.'
            )
            raise ConfigurationError(msg)
        self._identified.append((stream, output))

    def _is_named(self, stream: str, output: str) -> bool:
        """Tell whether the settings name an output: under `streams`, or as what a stream map makes of one stream."""
        if names_for(output, self._settings.streams):
            return True
        made, renamed = self._maps.get(output), self._maps.get(stream)
        if isinstance(made, Mapping) and made.get(_SOURCE) == stream:
            return True
        return output != stream and isinstance(renamed, Mapping) and _ALIAS in renamed and output not in self._maps

    def pass_over(self, output: str, properties: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Take note of an output that has no identities.

        Args:
            output: its name after stream maps.
            properties: the columns in its schema.

        Returns:
            What to tell of it; None if it was told of another schema of the output.
        """
        candidate = nearest_column(properties)
        if output in self._candidates and candidate in (None, self._candidates[output]):
            return None
        self._candidates[output] = candidate
        return f"it is skipped: {_no_identities(properties, self._settings.default_stream.identity_columns)} " + (
            f"The nearest is `{candidate.column}`: if it holds identities, set `identity_columns` for the stream, "
            f"{candidate.setting(output)}, and read it in full once more."
            if candidate is not None
            else "If one holds identities, map it with `identity_columns`, and read the stream in full once more."
        )

    def refuse_unmapped(self) -> None:
        """Fail, after a whole run, if no stream had an identity column.

        Raises:
            ConfigurationError: none had, some stream came, and `unmapped_streams` does not allow it.
        """
        if not self._came or self._identified or self._settings.unmapped_streams is UnmappedStreams.WARN:
            return
        near = next(((output, each) for output, each in self._candidates.items() if each is not None), None)
        if near is not None:
            output, candidate = near
            hint = (
                f"The nearest is `{candidate.column}` of stream {output}: if it holds identities, set "
                f"`identity_columns` to {candidate.mapping(self._settings.default_stream.identity_columns)}."
            )
        elif self._candidates:
            hint = "Map a column with `identity_columns`, or select another stream in the tap."
        else:
            hint = "`stream_maps` drops them all."
        msg = (
            f"No stream of the run ({some_names(sorted(self._came))}) has an identity column, so nobody was sent and "
            f"no STATE was written. {hint} If such runs are fine, set `unmapped_streams: warn`."
        )
        raise ConfigurationError(msg)

    def unused(self) -> Iterator[tuple[str, str]]:
        """Yield each name in the settings that spoke of no stream, with the setting that has it."""
        yield from (("streams", name) for name in self._settings.streams if name not in self._met)
        yield from (("stream_maps", name) for name in self._maps if name not in self._mapped)

    @property
    def _sources(self) -> set[str]:
        return {self._source(name) for name in self._maps}

    def _source(self, name: str) -> str:
        """Return the stream, or the pattern of streams, that a stream map applies to."""
        definition = self._maps[name]
        return str(definition.get(_SOURCE, name)) if isinstance(definition, Mapping) else name


def _speaks_of(source: str, stream: str) -> bool:
    """Tell whether a stream map for a source applies to a stream, as the SDK decides it."""
    return source == stream or fnmatch(stream, source)


def _no_identities(properties: Mapping[str, Any], chosen: Mapping[str, IdentityType]) -> str:
    """Say that none of a stream's columns holds identities."""
    if not properties:
        return "its SCHEMA declares no columns."
    if chosen:
        hints = "".join(in_other_capitals(name, properties) for name in chosen)
        return f"none of its columns ({some_names(properties)}) is in `identity_columns`.{hints}"
    return f"none of its columns ({some_names(properties)}) is named like an identity."


def some_names(names: Iterable[str]) -> str:
    """Return names for a message, and how many more there are."""
    names = list(names)
    more = f", and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"
