"""Undoes what Meltano does to the keys of object settings (measured on Meltano 4.4.1).

Meltano takes a dot in a key for nesting: `user.email: EMAIL` in meltano.yml arrives as `{"user": {"email": "EMAIL"}}`.
The variable that it exports for the same setting has flat keys (`{"streams.crm.leads.operation": …}`). Names of streams
and columns may hold dots themselves, so both forms are brought back to the one that the user wrote. And if the setting
is declared with `kind: object`, a key with a dot that comes from the environment is dropped without a word: that is
told from the exported variable, and refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings.declaration import PER_STREAM_SETTINGS
from target_pinterest_audience.settings.json_text import RepeatedNameError, read_json

_OWN_OBJECTS = ("identity_columns", "streams")
_OWN_ARRAYS = ("notify_urls", "consent_values")
SDK_OBJECTS = ("stream_maps", "stream_map_config", "faker_config")
"""What the SDK does to rows before they get here."""


def gather(config: Mapping[str, Any]) -> dict[str, Any]:
    """Move flat keys such as `streams.customers.operation` into the object setting that they belong to.

    Args:
        config: a configuration as it was read; not changed.

    Returns:
        The same, in which every object setting is an object, and `identity_columns` and `streams` have the form that
        the user wrote.

    Raises:
        ConfigurationError: an object setting is not an object, or a key in it cannot be brought back.
    """
    result = {key: value for key, value in config.items() if key.partition(".")[0] not in _OWN_OBJECTS}
    identity_columns, streams = (_flat(config, name) for name in _OWN_OBJECTS)
    if identity_columns:
        result["identity_columns"] = identity_columns
    if streams:
        result["streams"] = _by_stream(streams)
        for stream, settings in result["streams"].items():
            _parse_arrays(settings, f"streams.{stream}.")
    for name in SDK_OBJECTS:
        if result.get(name) is not None:
            result[name] = _as_object(name, result[name])
    _parse_arrays(result)
    _refuse_nested_maps(result.get("stream_maps") or {})
    return result


def _refuse_nested_maps(stream_maps: Mapping[str, Any]) -> None:
    """Refuse stream maps that Meltano has nested: whether a dot was in the stream's name or a column's is lost.

    Raises:
        ConfigurationError: what should be the map of a stream holds objects.
    """
    for stream, columns in stream_maps.items():
        if isinstance(columns, Mapping) and any(isinstance(inner, Mapping) for inner in columns.values()):
            msg = (
                f"`stream_maps.{stream}` is nested too deep: Meltano takes a dot in a name for nesting. In meltano.yml "
                "put a backslash before each dot in the names of streams and columns there."
            )
            raise ConfigurationError(msg)


def refuse_dropped(config: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Refuse a configuration from which Meltano has dropped keys that hold dots.

    Args:
        config: a configuration as it was read.
        environ: the process's environment, where Meltano leaves the whole value.

    Raises:
        ConfigurationError: a key in the environment is not in the configuration; without it people would be left out,
            a stream that removes would add, or a filter would let everybody pass.
    """
    loader = environ.get("MELTANO_LOADER_NAME")
    if loader is None:
        return
    for name in (*_OWN_OBJECTS, *SDK_OBJECTS):
        text = environ.get(f"{loader}_{name}".upper().replace("-", "_"))
        try:
            exported = json.loads(text) if text else None
        except json.JSONDecodeError:
            continue
        if not isinstance(exported, Mapping):
            continue
        arrived = _flat(config, name)
        for path, value in _leaves(exported):
            if value not in (None, {}) and path.replace("\\.", ".") not in arrived:
                msg = (
                    f"Meltano has dropped `{name}.{path}`, because it holds a dot and `{name}` is declared with "
                    "`kind: object`. Declare the setting without a kind, or put a backslash before each dot."
                )
                raise ConfigurationError(msg)


def _flat(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object setting as dotted paths and values, whichever way its keys came."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        setting, _, rest = key.partition(".")
        if setting == name and value is not None:
            try:
                flat.update(_leaves({rest: value} if rest else _as_object(name, value)))
            except RecursionError:
                msg = f"`{name}` is nested beyond all bounds."
                raise ConfigurationError(msg) from None
    return flat


def _as_object(name: str, value: object) -> Mapping[str, Any]:
    """Take an object, or the JSON text of one: that is how Meltano hands over a setting without a kind."""
    if isinstance(value, str):
        try:
            value = read_json(value)
        except json.JSONDecodeError as error:
            msg = f"`{name}` must be an object, or the JSON text of one: look at column {error.colno}."
            raise ConfigurationError(msg) from None
        except RepeatedNameError as error:
            msg = f"`{name}` has `{error.name}` twice in one object, and only one of them would be read. Keep one."
            raise ConfigurationError(msg) from None
    if not isinstance(value, Mapping):
        msg = f"`{name}` must be an object of names and values."
        raise ConfigurationError(msg)
    return value


def _parse_arrays(settings: dict[str, Any], where: str = "") -> None:
    """Replace each list that came as JSON text by the list; `where` stands before names in messages."""
    for name in _OWN_ARRAYS:
        if isinstance(settings.get(name), str):
            settings[name] = _as_array(f"{where}{name}", settings[name])


def _as_array(name: str, text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Take the JSON text of a list: that is how Meltano hands over a setting without a kind."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        msg = f"`{name}` must be a list, or the JSON text of one: look at column {error.colno}."
        raise ConfigurationError(msg) from None


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a nested object under its dotted path; an empty object is a leaf."""
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, f"{path}.")
        else:
            yield path, inner


def _by_stream(leaves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    streams: dict[str, dict[str, Any]] = {}
    for path, value in leaves.items():
        stream, setting, column = _split(path, empty=value in ({}, None))
        settings = streams.setdefault(stream, {})
        if setting is None:
            if value not in ({}, None):
                msg = f"`streams.{path}` must be an object of settings for that stream."
                raise ConfigurationError(msg)
        elif column:
            settings.setdefault(setting, {})[column] = value
        else:
            settings[setting] = value
    return streams


def _split(path: str, *, empty: bool) -> tuple[str, str | None, str]:
    """Split a dotted path into stream, setting and column; any but the setting may hold dots.

    A path whose setting is unknown is split at its last dot, so that the name can be refused; but if nothing is set
    there (`empty`), it is the name of a stream.
    """
    steps = path.split(".")
    for at in range(1, len(steps)):
        if steps[at] == "identity_columns" or (at == len(steps) - 1 and steps[at] in PER_STREAM_SETTINGS):
            return ".".join(steps[:at]), steps[at], ".".join(steps[at + 1 :])
    stream, _, setting = path.rpartition(".")
    return (stream, setting, "") if stream and not empty else (path, None, "")
