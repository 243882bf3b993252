"""From a raw configuration to checked values, with the rules that one setting alone cannot state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.marks import DEFAULT_REMOVAL_COLUMN
from target_pinterest_audience.identities.types import IDENTITY_TYPES, IdentityType
from target_pinterest_audience.records.column_names import plain_columns, plain_name
from target_pinterest_audience.settings.declaration import (
    DEFAULT_CONSENT_VALUES,
    OWN_SETTINGS,
    PER_STREAM_SETTINGS,
    config_jsonschema,
)
from target_pinterest_audience.settings.meltano import gather, refuse_dropped
from target_pinterest_audience.settings.paths import credentials_path, expanded, ledger_url
from target_pinterest_audience.settings.patterns import overrides_for
from target_pinterest_audience.settings.validate import check, refuse_unknown
from target_pinterest_audience.text.urls import is_safe, parse_address

_LIST_CHOICES = ("customer_list_id", "customer_list_name", "audience_id", "list_name_column")
_CHOICES = (*_LIST_CHOICES, "source_name", "one_list_per_type")
_EFFECTS = ("hashing", "hash_algorithm", "streams", *PER_STREAM_SETTINGS)
_APP = ("client_id", "client_secret")


class LoadMethod(str, Enum):
    """How rows change a list."""

    UPSERT = "upsert"
    APPEND_ONLY = "append-only"
    OVERWRITE = "overwrite"


class Mode(str, Enum):
    """Whether the rows of a stream name people to be on the list, or people who must not be."""

    ADD = "add"
    REMOVE = "remove"


class MissingLedger(str, Enum):
    """What to do when a list exists and the ledger knows nothing of it."""

    WARN = "warn"
    STOP = "stop"


class UnmappedStreams(str, Enum):
    """What a run does none of whose streams has an identity column."""

    FAIL = "fail"
    WARN = "warn"


class EmptyStream(str, Enum):
    """What to do when neither a row nor a STATE comes."""

    WARN = "warn"
    FAIL = "fail"


class BadRecords(str, Enum):
    """What a bad row does."""

    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The settings that can differ from stream to stream."""

    customer_list_id: str | None
    customer_list_name: str | None
    audience_id: str | None
    create_audience: bool
    audience_name: str | None
    audience_description: str | None
    identity_columns: Mapping[str, IdentityType]
    """Column → type; empty if columns are to be found by name."""
    one_list_per_type: bool
    load_method: LoadMethod
    operation: Mode
    removal_column: str | None
    """None: `_sdc_deleted_at` alone, which a stream need not have."""
    consent_column: str | None
    consent_values: frozenset[str]
    """The texts that mean yes, in lower case and without blanks around them."""
    list_name_column: str | None
    source_name: str | None
    """None: the stream's name."""
    own: frozenset[str] = frozenset()
    """The settings that `streams` gives the stream; the others are the top level's, or defaults."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked."""

    ad_account_id: str
    access_token: str | None
    client_id: str | None
    client_secret: str | None
    refresh_token: str | None
    credentials_file: Path | None
    """None: the newest refresh token is kept inside the PostgreSQL ledger."""
    ledger_url: str | None
    """`sqlite:///` and an absolute path, or `postgresql://…`; None if nothing says where, and this user has no home."""
    lock_wait_seconds: int
    missing_ledger: MissingLedger
    max_removal_percent: int
    max_deleted_percent: int
    empty_stream: EmptyStream
    bad_records: BadRecords
    max_rejected_percent: int
    rejects_path: Path | None
    report_path: Path | None
    dry_run: bool
    notify_urls: tuple[str, ...]
    """Where alerts go; none are sent if it is empty."""
    notify_rejected_percent: int
    notify_size_change_percent: int
    notify_stale_hours: int
    api_url: str
    hashing: Hashing
    hash_algorithm: HashAlgorithm
    batch_size_rows: int
    max_request_bytes: int
    max_retries: int
    initial_backoff_ms: int
    max_backoff_ms: int
    connect_timeout_seconds: int
    read_timeout_seconds: int
    default_stream: StreamSettings
    stream_defaults: Mapping[str, Any]
    """The settings of the top level that `streams` may override, defaults included."""
    streams: Mapping[str, Mapping[str, Any]]
    """Stream name, or glob pattern of names → the settings that it overrides."""
    unmapped_streams: UnmappedStreams
    choice_of_lists: Mapping[str, Any]
    """The settings that say which rows go to which lists: what tells one configuration from another."""
    effects: Mapping[str, Any]
    """The settings that change what rows say; when one changes, people may leave a list for no other reason."""

    @property
    def needs_ledger(self) -> bool:
        """Whether a run may have to write to a ledger."""
        methods = {stream.get("load_method", self.default_stream.load_method) for stream in self.streams.values()}
        return {self.default_stream.load_method, *methods} != {LoadMethod.APPEND_ONLY}

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """What no log may show."""
        password = urlsplit(self.ledger_url or "").password
        in_ledger_url = unquote(password) if password else None
        return self.access_token, self.client_secret, self.refresh_token, in_ledger_url, *self.notify_urls

    def for_stream(self, stream: str) -> StreamSettings:
        """Return the settings of a stream, by the name that it has after stream maps.

        Raises:
            ConfigurationError: patterns that match the name contradict each other.
        """
        given = overrides_for(stream, self.streams, _LIST_CHOICES)
        return self.default_stream if given is None else _of_stream(self.stream_defaults, given, f"streams.{stream}.")


def resolve(
    raw: Mapping[str, Any], sdk_properties: Mapping[str, Any], environ: Mapping[str, str]
) -> tuple[Settings, dict[str, Any]]:
    """Check a configuration.

    Args:
        raw: the configuration as it was read from files and the environment.
        sdk_properties: the schemas of the settings that the SDK adds to ours.
        environ: the process's environment, for the default places of files.

    Returns:
        The settings, and the whole configuration in plain form with all defaults, as the SDK wants it.

    Raises:
        ConfigurationError: any rule is broken. The message names the setting and the rule, never the value.
    """
    refuse_dropped(raw, environ)
    own = config_jsonschema()
    schema = {**own, "properties": {**sdk_properties, **own["properties"]}}
    config = _tidied(gather(raw), schema["properties"])
    refuse_unknown(config, schema["properties"])
    check(config, schema)
    config = _with_defaults(config, schema["properties"])
    per_stream = {name: config[name] for name in PER_STREAM_SETTINGS if name in config}
    stream_schema = {"properties": {name: own["properties"][name] for name in PER_STREAM_SETTINGS}}
    streams = {
        stream: _check_overrides(stream, overrides, per_stream, stream_schema)
        for stream, overrides in config.get("streams", {}).items()
    }
    _check_credentials(config)
    _check_api_url(config["api_url"])
    ledger = ledger_url(config.get("ledger_url"), environ)
    settings = Settings(
        default_stream=_stream_settings(per_stream),
        stream_defaults=per_stream,
        streams=streams,
        unmapped_streams=UnmappedStreams(config["unmapped_streams"]),
        hashing=Hashing(config["hashing"]),
        hash_algorithm=HashAlgorithm(config["hash_algorithm"]),
        api_url=config["api_url"].rstrip("/"),
        credentials_file=credentials_path(config.get("credentials_file"), ledger),
        ledger_url=ledger,
        lock_wait_seconds=config["lock_wait_seconds"],
        missing_ledger=MissingLedger(config["missing_ledger"]),
        max_removal_percent=config["max_removal_percent"],
        max_deleted_percent=config["max_deleted_percent"],
        empty_stream=EmptyStream(config["empty_stream"]),
        bad_records=BadRecords(config["bad_records"]),
        max_rejected_percent=config["max_rejected_percent"],
        rejects_path=_path(config, "rejects_path"),
        report_path=_path(config, "report_path"),
        dry_run=config["dry_run"],
        notify_urls=tuple(url.strip() for url in config.get("notify_urls", ())),
        notify_rejected_percent=config["notify_rejected_percent"],
        notify_size_change_percent=config["notify_size_change_percent"],
        notify_stale_hours=config["notify_stale_hours"],
        choice_of_lists=_choice_of_lists(config),
        effects=_effects(config, sdk_properties),
        ad_account_id=config["ad_account_id"],
        access_token=config.get("access_token"),
        client_id=config.get("client_id"),
        client_secret=config.get("client_secret"),
        refresh_token=config.get("refresh_token"),
        batch_size_rows=config["batch_size_rows"],
        max_request_bytes=config["max_request_bytes"],
        max_retries=config["max_retries"],
        initial_backoff_ms=config["initial_backoff_ms"],
        max_backoff_ms=config["max_backoff_ms"],
        connect_timeout_seconds=config["connect_timeout_seconds"],
        read_timeout_seconds=config["read_timeout_seconds"],
    )
    return settings, config


def _choice_of_lists(config: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {name: config[name] for name in _CHOICES if config.get(name) is not None}
    streams = {stream: _choice_of_lists(overrides) for stream, overrides in config.get("streams", {}).items()}
    return {**chosen, "streams": {stream: choice for stream, choice in streams.items() if choice != {"streams": {}}}}


def _effects(config: Mapping[str, Any], sdk_properties: Mapping[str, Any]) -> dict[str, Any]:
    effects = {name: value for name, value in config.items() if name in _EFFECTS or name in sdk_properties}
    if effects["consent_values"] == list(DEFAULT_CONSENT_VALUES):
        # Earlier versions did not have it: to them, its default is no change.
        del effects["consent_values"]
    return effects


def _tidied(config: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Take values for what they are meant to be: `ad_account_id: 5497` is text, a token may end in a newline."""
    return {name: _tidy(value, properties.get(name, {})) for name, value in config.items()}


def _tidy(value: Any, rules: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    is_id, is_secret = "pattern" in rules, rules.get("secret", False)
    if is_id and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if (is_id or is_secret) and isinstance(value, str):
        return value.strip()
    if "array" in rules.get("type", ()) and isinstance(value, list) and not is_secret:
        # YAML takes 1 for a number. It may take yes and on for true, too: which one was meant is lost, and refused.
        return [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in value]
    if "integer" in rules.get("type", ()) and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _with_defaults(config: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {name: rules["default"] for name, rules in properties.items() if "default" in rules}
    return {**defaults, **{name: value for name, value in config.items() if value is not None}}


def _check_overrides(
    stream: str, overrides: Mapping[str, Any], defaults: Mapping[str, Any], schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings under one name in `streams`, checked."""
    where = f"streams.{stream}."
    for name in overrides:
        if name in OWN_SETTINGS and name not in PER_STREAM_SETTINGS:
            msg = f"`{where}{name}` is set, but `{name}` cannot differ from stream to stream. Set it at the top."
            raise ConfigurationError(msg)
    refuse_unknown(overrides, PER_STREAM_SETTINGS, where)
    overrides = _tidied(overrides, schema["properties"])
    check(overrides, schema, where)
    given = {name: value for name, value in overrides.items() if value is not None}
    _of_stream(defaults, given, where)
    return given


def _of_stream(defaults: Mapping[str, Any], given: Mapping[str, Any], where: str) -> StreamSettings:
    if any(name in given for name in _LIST_CHOICES):
        # A stream that names a list of its own does not inherit another way of choosing one.
        defaults = {name: value for name, value in defaults.items() if name not in _LIST_CHOICES}
    return _stream_settings({**defaults, **given}, where, frozenset(given))


def _stream_settings(config: Mapping[str, Any], where: str = "", own: frozenset[str] = frozenset()) -> StreamSettings:
    chosen = [f"`{where}{name}`" for name in _LIST_CHOICES if config.get(name) is not None]
    if len(chosen) > 1:
        msg = f"{' and '.join(chosen)} are both set, and each chooses the list. Keep one of them."
        raise ConfigurationError(msg)
    if config.get("list_name_column") is not None and config.get("audience_name") is not None:
        msg = (
            f"`{where}list_name_column` makes many audiences, and `audience_name` names one. Leave the latter out: "
            "each audience then has the name of its list."
        )
        raise ConfigurationError(msg)
    removal_column = _column(config["removal_column"])
    return StreamSettings(
        customer_list_id=config.get("customer_list_id"),
        customer_list_name=config.get("customer_list_name"),
        audience_id=config.get("audience_id"),
        create_audience=config["create_audience"],
        audience_name=config.get("audience_name"),
        audience_description=config.get("audience_description"),
        identity_columns=_identity_columns(config.get("identity_columns", {}), where),
        one_list_per_type=config["one_list_per_type"],
        load_method=LoadMethod(config["load_method"]),
        operation=Mode(config["operation"]),
        removal_column=removal_column if removal_column != DEFAULT_REMOVAL_COLUMN else None,
        consent_column=_column(config.get("consent_column")),
        consent_values=_consent_values(config["consent_values"], where),
        list_name_column=_column(config.get("list_name_column")),
        source_name=config.get("source_name"),
        own=own,
    )


def _identity_columns(columns: Mapping[str, Any], where: str) -> dict[str, IdentityType]:
    for column, name in columns.items():
        if not isinstance(name, str) or name not in IDENTITY_TYPES:
            msg = f"`{where}identity_columns`: the type of column {column} must be one of {', '.join(IDENTITY_TYPES)}."
            raise ConfigurationError(msg)
    return {column: IDENTITY_TYPES[name] for column, name in plain_columns(columns).items()}


def _column(name: str | None) -> str | None:
    return plain_name(name) if name is not None else None


def _consent_values(values: list[str], where: str) -> frozenset[str]:
    words = frozenset(value.strip().lower() for value in values)
    if "" in words:
        msg = f"`{where}consent_values` holds an empty text, so that who was never asked would consent. Take it out."
        raise ConfigurationError(msg)
    return words


def _path(config: Mapping[str, Any], name: str) -> Path | None:
    return expanded(config[name], name) if config.get(name) else None


def _check_credentials(config: Mapping[str, Any]) -> None:
    missing = [f"`{name}`" for name in _APP if config.get(name) is None]
    if config.get("access_token") is None and missing:
        msg = (
            "There is no way to sign in: set `access_token`, or `client_id` and `client_secret` (missing: "
            f"{', '.join(missing)}), and with these call `pinterest-audience login` or set `refresh_token`."
        )
        raise ConfigurationError(msg)
    for name in ("access_token", *_APP, "refresh_token"):
        # Anything else cannot stand in a header.
        if config.get(name) is not None and not (config[name].isascii() and config[name].isprintable()):
            msg = f"`{name}` has characters in it that no token has. Copy it again."
            raise ConfigurationError(msg)


def _check_api_url(url: str) -> None:
    parts = parse_address(url)
    if parts is None or parts.query:
        msg = "`api_url` must be an address such as https://host/v5, with nothing behind the path."
        raise ConfigurationError(msg)
    if not is_safe(parts):
        msg = "`api_url` must begin with https; http is for the loopback interface only, since tokens travel on it."
        raise ConfigurationError(msg)
