"""Matches the streams of a run with the names of streams in the settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.types import IdentityType, default_type
from target_pinterest_audience.routing.near_names import (
    Candidate,
    as_written_for,
    cannot_hold_identities,
    nearly_names,
    resembles,
    suggestion,
)
from target_pinterest_audience.routing.nested_names import told_type
from target_pinterest_audience.routing.wrong_names import hint_about
from target_pinterest_audience.settings import Settings, UnmappedStreams
from target_pinterest_audience.settings.patterns import names_for
from target_pinterest_audience.singer.checks.config_check import MELTANO_TEST_STREAM

_SOURCE: Final = "__source__"
_ALIAS: Final = "__alias__"
_MOST_NAMES: Final = 20
"""The largest number of names in a message."""


class StreamNames:
    """Matches the streams of one run with the names in the settings, and finds likely misspellings.

    An *output* is a stream after stream maps. One stream can have several outputs, and several streams can share one.
    """

    def __init__(self, settings: Settings, stream_maps: Mapping[str, Any]) -> None:
        """Begin without streams.

        Args:
            settings: the settings.
            stream_maps: the setting `stream_maps`.
        """
        self._settings = settings
        self._maps = {name: each for name, each in stream_maps.items() if not name.startswith("__")}
        self._streams: set[str] = set()
        self._checked: set[tuple[str, ...]] = set()
        """The streams with their outputs that were checked."""
        self._matched: set[str] = set()
        """The names under `streams` that matched an output."""
        self._mapped: set[str] = set()
        """The names under `stream_maps` that matched a stream."""
        self._identified: list[tuple[str, str]] = []
        """The streams with identities and their outputs, in order of arrival."""
        self._candidates: dict[str, Candidate | None] = {}
        """Output without identities → the column that most resembles an identity."""

    def add(self, stream: str, outputs: Sequence[str]) -> None:
        """Add a stream to the run.

        Args:
            stream: the stream's name in the tap's messages.
            outputs: its names after stream maps; none if they drop it.

        Raises:
            ConfigurationError: a name in the settings resembles the stream but does not match it, so that the settings
                would not apply.
        """
        if stream == MELTANO_TEST_STREAM:
            return
        if (stream, *outputs) in self._checked:
            # A tap may repeat its SCHEMA a thousand times.
            return
        self._streams.add(stream)
        self._mapped.update(name for name in self._maps if _applies_to(self._source(name), stream))
        self._matched.update(name for output in outputs for name in names_for(output, self._settings.streams))
        self._refuse_near_map(stream, outputs)
        self._refuse_near_settings(stream, outputs)
        self._checked.add((stream, *outputs))

    def _refuse_near_map(self, stream: str, outputs: Sequence[str]) -> None:
        for name in self._maps:
            source = self._source(name)
            if name in self._mapped:
                continue
            renamed = [each for each in outputs if each != stream and resembles(source, each)]
            if renamed:
                msg = (
                    f"`stream_maps` has `{source}`, but another map already turns stream {stream} into {renamed[0]}. "
                    "Stream maps apply to the tap's names of streams. Combine the maps into one."
                )
                raise ConfigurationError(msg)
            if stream not in self._sources and resembles(source, stream):
                msg = (
                    f"`stream_maps` has `{source}`, but the tap sent stream {stream}, which that name does not match, "
                    f"so the map's filters would not apply. Write `{as_written_for(source, stream)}` there, or rename "
                    "the map if it is for another stream."
                )
                raise ConfigurationError(msg)

    def _refuse_near_settings(self, stream: str, outputs: Sequence[str]) -> None:
        names = self._settings.streams
        if outputs and all(output in names for output in outputs):
            return
        for name in names:
            if name in self._matched or (name == stream and not outputs):
                # A stream map that names the stream exactly drops it on purpose.
                continue
            if name == stream:
                came = f"stream maps turn that stream into {' and '.join(outputs)}"
            else:
                near = next((each for each in (*outputs, stream) if each not in names and resembles(name, each)), None)
                if near is None:
                    continue
                came = f"the tap sent stream {near}, which that name does not match"
            right = " or ".join(f"`{as_written_for(name, each)}`" for each in outputs or [stream])
            msg = (
                f"`streams` has settings for `{name}`, but {came}. The settings would not apply, and a stream that "
                f"removes people would add them. Write {right} there, or rename the entry if it is for another stream."
            )
            raise ConfigurationError(msg)

    def admit(self, stream: str, output: str) -> None:
        """Allow an output with identities to feed lists.

        Args:
            stream: the stream's name in the tap's messages.
            output: its name after stream maps.

        Raises:
            ConfigurationError: another output has identities too, and the settings do not name this one; or they nearly
                name it, to remove its people.
        """
        if (stream, output) in self._identified:
            return
        if not names_for(output, self._settings.streams):
            self._refuse_nearly_removed(output)
        if self._identified and not self._is_named(stream, output):
            _, first = self._identified[0]
            msg = (
                f"Stream {output} has identity columns, and so has stream {first}, but `streams` does not name "
                f"{output}, so its people may not belong on a list. Deselect it in the tap, or confirm it with "
                f'"streams": {{"{output}": {{}}}}.'
            )
            raise ConfigurationError(msg)
        self._identified.append((stream, output))

    def _refuse_nearly_removed(self, output: str) -> None:
        """Refuse an output that no entry names if an unused entry, whose stream removes people, nearly names it."""
        for name, own in self._settings.streams.items():
            if name not in self._matched and own.get("operation") == "remove" and nearly_names(name, output):
                msg = (
                    f"`streams` has `{name}` with `operation: remove`, but the tap sent stream {output}, whose people "
                    f"would be added. If they must be removed, write `{output}` there. If they must be added, confirm "
                    f'that with "streams": {{"{output}": {{}}}}.'
                )
                raise ConfigurationError(msg)

    def _is_named(self, stream: str, output: str) -> bool:
        """Return whether `streams` names an output, or a stream map makes it from one stream."""
        if names_for(output, self._settings.streams):
            return True
        made, renamed = self._maps.get(output), self._maps.get(stream)
        if isinstance(made, Mapping) and made.get(_SOURCE) == stream:
            return True
        return output != stream and isinstance(renamed, Mapping) and _ALIAS in renamed and output not in self._maps

    def skip(self, output: str, properties: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Note that an output has no identities.

        Args:
            output: the stream's name after stream maps.
            properties: column → its JSON schema.

        Returns:
            The warning to log; None if it was logged for another schema of the output.
        """
        candidate = suggestion(properties)
        if output in self._candidates and candidate in (None, self._candidates[output]):
            return None
        self._candidates[output] = candidate
        reason = _why_none(properties, self._settings.default_stream.identity_columns)
        remedy = "If one holds identities, map it with `identity_columns`"
        if candidate is not None:
            remedy = candidate.advice(f"for the stream, {candidate.setting(output)}")
        return f"it is skipped, because {reason} {remedy}. If this run writes a STATE, re-sync the stream in full."

    def check_mapped(self) -> None:
        """Check, at the end of the input, that some stream had an identity column.

        Raises:
            ConfigurationError: no stream had one, and `unmapped_streams` does not allow this.
        """
        if not self._streams or self._identified or self._settings.unmapped_streams is UnmappedStreams.WARN:
            return
        found = [(output, each) for output, each in self._candidates.items() if each is not None]
        if found:
            # A column comes before a mere example of a path.
            output, candidate = min(found, key=lambda each: bool(each[1].holders))
            setting = candidate.mapping(self._settings.default_stream.identity_columns)
            hint = candidate.advice(f"to {setting}", f" of stream {output}")
            hint += ". (The warning about the stream has the setting for this stream alone.)"
        elif self._candidates:
            hint = "Map a column with `identity_columns`, or select another stream in the tap."
        else:
            hint = "`stream_maps` drops all of them."
        msg = (
            f"No stream of the run ({some_names(sorted(self._streams))}) has an identity column, so no identity was "
            f"sent and no STATE was written. {hint} If such runs are expected, set `unmapped_streams: warn`."
        )
        raise ConfigurationError(msg)

    def dropped(self) -> list[str]:
        """Return the names under `streams` of streams that stream maps drop."""
        return [name for name in self._settings.streams if name not in self._matched and name in self._streams]

    def unused(self) -> Iterator[tuple[str, str]]:
        """Yield each name in the settings that matched no stream, after the setting that has it."""
        gone = {*self._matched, *self.dropped()}
        yield from (("streams", name) for name in self._settings.streams if name not in gone)
        yield from (("stream_maps", name) for name in self._maps if name not in self._mapped)

    @property
    def _sources(self) -> set[str]:
        return {self._source(name) for name in self._maps}

    def _source(self, name: str) -> str:
        """Return the name or the pattern of the streams to which a stream map applies."""
        definition = self._maps[name]
        return str(definition.get(_SOURCE, name)) if isinstance(definition, Mapping) else name


def _applies_to(source: str, stream: str) -> bool:
    """Return whether a stream map applies to a stream, by the SDK's rule."""
    return source == stream or fnmatch(stream, source)


def _why_none(properties: Mapping[str, Any], chosen: Mapping[str, IdentityType]) -> str:
    """Return a clause that says why none of a stream's columns counts as an identity column."""
    if not properties:
        return "its SCHEMA declares no columns."
    if chosen:
        hints = "".join(hint_about(name, properties) for name in chosen)
        return f"none of its columns ({some_names(properties)}) is in `identity_columns`.{hints}"
    unfit = [name for name, each in properties.items() if default_type(name) and cannot_hold_identities(each)]
    if unfit:
        told = " and ".join(f"{name} as {told_type(properties[name])}" for name in unfit)
        return (
            f"none of its columns ({some_names(properties)}) has both the name and the type of an identity column: the "
            f"SCHEMA declares {told}."
        )
    return f"none of its columns ({some_names(properties)}) is named like an identity."


def some_names(names: Iterable[str]) -> str:
    """Return names for a message: the first ones, and the number of the others."""
    names = list(names)
    more = f", and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"
