"""Undoes what Meltano does to the keys of object settings (measured on Meltano 4.4.1).

Meltano takes a dot in a key for nesting: `user.email: EMAIL` in meltano.yml arrives as `{"user": {"email": "EMAIL"}}`.
The variable that it exports for the same setting has flat keys (`{"streams.crm.leads.operation": …}`). Names of streams
and columns may contain dots themselves, so `gather` restores the form that the user wrote. If the setting is declared
with `kind: object`, Meltano silently drops keys with dots that come from the environment. `refuse_dropped` detects that
by the exported variable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings.stream_settings import PER_STREAM_SETTINGS
from target_pinterest_audience.settings.target_settings import config_jsonschema
from target_pinterest_audience.text.json_text import RepeatedNameError, read_json

_OWN_OBJECTS: Final = ("identity_columns", "streams")
_OWN_ARRAYS: Final = tuple(
    name for name, rules in config_jsonschema()["properties"].items() if "array" in rules["type"]
)
SDK_OBJECTS: Final = ("stream_maps", "stream_map_config", "faker_config")
"""The object settings of the SDK: it applies them to rows before this target gets them."""


def gather(config: Mapping[str, Any]) -> dict[str, Any]:
    """Move flat keys such as `streams.customers.operation` into the object setting that they belong to.

    Args:
        config: a configuration as it was read; not changed.

    Returns:
        The same configuration, in which every object setting is an object, and `identity_columns` and `streams` have
        the form that the user wrote.

    Raises:
        ConfigurationError: an object setting is not an object, or the form that the user wrote cannot be restored.
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
    """Refuse stream maps that Meltano has nested: it is unknown whether the stream's or a column's name had the dot.

    Raises:
        ConfigurationError: the map of a stream contains objects.
    """
    for stream, columns in stream_maps.items():
        if isinstance(columns, Mapping) and any(isinstance(inner, Mapping) for inner in columns.values()):
            msg = (
                f"`stream_maps.{stream}` is nested too deeply, because Meltano takes a dot in a name for nesting. In "
                "meltano.yml, put a backslash before each dot in the names of its streams and columns."
            )
            raise ConfigurationError(msg)


def refuse_dropped(config: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Refuse a configuration from which Meltano has dropped keys that contain dots.

    Args:
        config: a configuration as it was read.
        environ: the process's environment, where Meltano leaves the whole value.

    Raises:
        ConfigurationError: a key in the environment is missing in the configuration. Without it, people would be left
            out, a stream that removes would add, or a filter would let everyone pass.
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
                    f"Meltano has dropped `{name}.{path}`, because it contains a dot and `{name}` is declared with "
                    "`kind: object`. Declare the setting without a kind, or put a backslash before each dot."
                )
                raise ConfigurationError(msg)


def _flat(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an object setting as dotted paths and values, in whatever form its keys came.

    Raises:
        ConfigurationError: the setting is not an object, or is nested too deeply.
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        setting, _, rest = key.partition(".")
        if setting == name and value is not None:
            try:
                flat.update(_leaves({rest: value} if rest else _as_object(name, value)))
            except RecursionError:
                msg = f"`{name}` is nested too deeply."
                raise ConfigurationError(msg) from None
    return flat


def _as_object(name: str, value: object) -> Mapping[str, Any]:
    """Return an object, parsed if it came as JSON text: that is how Meltano passes a setting without a kind.

    Raises:
        ConfigurationError: the value is neither an object nor the JSON text of one, or repeats a name.
    """
    if isinstance(value, str):
        try:
            value = read_json(value)
        except json.JSONDecodeError as error:
            msg = f"`{name}` must be an object, or the JSON text of one. Check column {error.colno}."
            raise ConfigurationError(msg) from None
        except RepeatedNameError as error:
            msg = f"`{name}` has `{error.name}` twice in one object, and only one would be read. Keep one."
            raise ConfigurationError(msg) from None
    if not isinstance(value, Mapping):
        msg = f"`{name}` must be an object of names and values."
        raise ConfigurationError(msg)
    return value


def _parse_arrays(settings: dict[str, Any], where: str = "") -> None:
    """Parse each list that came as JSON text; `where` is the prefix of names in messages."""
    for name in _OWN_ARRAYS:
        if isinstance(settings.get(name), str):
            settings[name] = _as_array(f"{where}{name}", settings[name])


def _as_array(name: str, text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse the JSON text of a list: that is how Meltano passes a setting without a kind.

    Raises:
        ConfigurationError: the text is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        msg = f"`{name}` must be a list, or the JSON text of one. Check column {error.colno}."
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
    """Split a dotted path into stream, setting and column; the stream and the column may contain dots.

    A path whose setting is unknown is split at its last dot, so that the setting can be refused. But if it has no value
    (`empty`), the whole path is the name of a stream.
    """
    steps = path.split(".")
    for at in range(1, len(steps)):
        if steps[at] == "identity_columns" or (at == len(steps) - 1 and steps[at] in PER_STREAM_SETTINGS):
            return ".".join(steps[:at]), steps[at], ".".join(steps[at + 1 :])
    stream, _, setting = path.rpartition(".")
    return (stream, setting, "") if stream and not empty else (path, None, "")
