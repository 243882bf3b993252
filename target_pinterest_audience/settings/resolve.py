"""Turns a raw configuration into checked settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.settings.meltano import gather, refuse_dropped
from target_pinterest_audience.settings.paths import credentials_path, expanded, ledger_url
from target_pinterest_audience.settings.rules import LIST_CHOICES, check_api_url, check_sign_in
from target_pinterest_audience.settings.sdk_settings import SDK_SETTINGS, with_sdk_settings
from target_pinterest_audience.settings.stream_settings import (
    DEFAULT_CONSENT_VALUES,
    PER_STREAM_SETTINGS,
    StreamSettings,
)
from target_pinterest_audience.settings.target_settings import OWN_SETTINGS, Settings, config_jsonschema, overridden
from target_pinterest_audience.settings.validate import check, refuse_unknown

_FILES: Final = ("rejects_path", "holdout_path", "report_path", "metrics_path")
_CHOICES: Final = (*LIST_CHOICES, "source_name", "one_list_per_type")
_EFFECTS: Final = ("hashing", "hash_algorithm", "streams", *PER_STREAM_SETTINGS)


def resolve(
    raw: Mapping[str, Any], environ: Mapping[str, str], *, needs_sign_in: bool = True
) -> tuple[Settings, dict[str, Any]]:
    """Check a configuration.

    Args:
        raw: the configuration as it was read from files and the environment.
        environ: the process's environment, for the default locations of files.
        needs_sign_in: whether it is an error if there is no way to sign in.

    Returns:
        The settings, and the whole configuration in plain form with all defaults, as the SDK wants it.

    Raises:
        ConfigurationError: a setting breaks a rule. The message names the setting and the rule, never the value.
    """
    refuse_dropped(raw, environ)
    own = config_jsonschema()
    schema = with_sdk_settings(own)
    config = _tidied(gather(raw), schema["properties"])
    refuse_unknown(config, schema["properties"])
    check(config, schema)
    config = _with_defaults(config, schema["properties"])
    per_stream = {name: config[name] for name in PER_STREAM_SETTINGS if name in config}
    stream_schema = {"properties": {name: own["properties"][name] for name in PER_STREAM_SETTINGS}}
    streams = {
        stream: _checked_overrides(stream, overrides, per_stream, stream_schema)
        for stream, overrides in config.get("streams", {}).items()
    }
    check_sign_in(config, is_needed=needs_sign_in)
    check_api_url(config["api_url"])
    ledger = ledger_url(config.get("ledger_url"), environ)
    values: dict[str, Any] = {
        **{name: config.get(name) for name in OWN_SETTINGS if name not in PER_STREAM_SETTINGS},
        "default_stream": StreamSettings.of(per_stream),
        "streams": streams,
        "api_url": config["api_url"].rstrip("/"),
        "notify_urls": [url.strip() for url in config.get("notify_urls", ())],
        "ledger_url": ledger,
        "credentials_file": credentials_path(config.get("credentials_file"), ledger),
        **{name: expanded(config[name], name) for name in _FILES if name in config},
        "stream_defaults": per_stream,
        "choice_of_lists": _choice_of_lists(config),
        "effects": _effects(config),
    }
    return msgspec.convert(values, Settings), config


def _choice_of_lists(config: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {name: config[name] for name in _CHOICES if config.get(name) is not None}
    streams = {stream: _choice_of_lists(overrides) for stream, overrides in config.get("streams", {}).items()}
    return {**chosen, "streams": {stream: choice for stream, choice in streams.items() if choice != {"streams": {}}}}


def _effects(config: Mapping[str, Any]) -> dict[str, Any]:
    effects = {name: value for name, value in config.items() if name in _EFFECTS or name in SDK_SETTINGS}
    # Earlier versions did not have these settings: for their ledgers, the defaults are no change.
    if effects["consent_values"] == list(DEFAULT_CONSENT_VALUES):
        del effects["consent_values"]
    if not effects["holdout_percent"]:
        del effects["holdout_percent"]
    return effects


def _tidied(config: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they were meant: `ad_account_id: 5497` is text, and a token may end in a newline."""
    return {name: _tidy(value, properties.get(name, {})) for name, value in config.items()}


def _tidy(value: Any, rules: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    is_id, is_secret = "pattern" in rules, rules.get("secret", False)
    if is_id and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if (is_id or is_secret) and isinstance(value, str):
        return value.strip()
    if "array" in rules.get("type", ()) and isinstance(value, list) and not is_secret:
        # YAML reads 1 as a number. It may also read yes and on as true: which text was meant is lost, so the check
        # refuses it.
        return [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in value]
    if "integer" in rules.get("type", ()) and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _with_defaults(config: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: rules["default"] for name, rules in properties.items() if "default" in rules}
    return {**defaults, **{name: value for name, value in config.items() if value is not None}}


def _checked_overrides(
    stream: str, overrides: Mapping[str, Any], defaults: Mapping[str, Any], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings under one name in `streams`, checked.

    Raises:
        ConfigurationError: a name is not a setting of a stream, or a setting breaks a rule.
    """
    where = f"streams.{stream}."
    for name in overrides:
        if name in OWN_SETTINGS and name not in PER_STREAM_SETTINGS:
            msg = f"`{where}{name}` is set, but `{name}` cannot differ from stream to stream. Set it at the top level."
            raise ConfigurationError(msg)
    refuse_unknown(overrides, PER_STREAM_SETTINGS, where)
    overrides = _tidied(overrides, schema["properties"])
    check(overrides, schema, where)
    given = {name: value for name, value in overrides.items() if value is not None}
    overridden(defaults, given, stream)
    return given
