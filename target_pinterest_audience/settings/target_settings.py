"""The settings of the target: each declared once, with its type, its default and the text that users read."""

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.settings.patterns import overrides_for
from target_pinterest_audience.settings.rules import LIST_CHOICES, country_code
from target_pinterest_audience.settings.schema import properties_of, required, setting
from target_pinterest_audience.settings.stream_settings import ID_PATTERN, LoadMethod, StreamSettings

DEFAULT_API_URL: Final = "https://api.pinterest.com/v5"
DEFAULT_REMOVAL_PERCENT: Final = 20
"""Who allows more should know who sees the ads then."""


class MissingLedger(str, Enum):
    """What a run does if the list exists and the ledger does not know it."""

    WARN = "warn"
    STOP = "stop"


class UnmappedStreams(str, Enum):
    """What a run does if none of its streams has an identity column."""

    FAIL = "fail"
    WARN = "warn"


class EmptyStream(str, Enum):
    """What a run does if it reads neither a row nor a STATE."""

    WARN = "warn"
    FAIL = "fail"


class BadRecords(str, Enum):
    """What a bad row does to the run."""

    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked, and what follows from them."""

    ad_account_id: str = setting(
        "Ad account id",
        "The Pinterest ad account that owns the customer lists: at most 18 digits.",
        pattern=ID_PATTERN,
    )
    access_token: str | None = setting(
        "Access token",
        "An access token with the scopes `ads:read` and `ads:write`. Without one, set `client_id` and `client_secret`, "
        "and run `pinterest-audience login` or set `refresh_token`.",
        secret=True,
    )
    client_id: str | None = setting(
        "App id",
        "The id of your Pinterest app. The target needs it to sign in and to renew access tokens by OAuth.",
    )
    client_secret: str | None = setting(
        "App secret",
        "The secret of your Pinterest app. The target needs it to sign in and to renew access tokens by OAuth.",
        secret=True,
    )
    refresh_token: str | None = setting(
        "Refresh token",
        "The OAuth refresh token; by default the one that `pinterest-audience login` stored. The target uses it if "
        "there is no `access_token`, or if that has expired. Pinterest replaces the token at each use; the target "
        "stores the newest one in `credentials_file`.",
        secret=True,
    )
    credentials_file: Path | None = setting(
        "Credentials file",
        "The file that keeps the newest refresh token between runs (mode 0600). By default `credentials.json` beside a "
        "SQLite ledger, or inside a PostgreSQL ledger.",
    )
    """None: the PostgreSQL ledger keeps the refresh token."""
    api_url: str = setting(
        "API URL",
        "The URL of the Pinterest API: https, or http on the loopback interface for the emulator.",
        default=DEFAULT_API_URL,
    )
    default_stream: StreamSettings
    hashing: Hashing = setting(
        "Hashing",
        "`auto` hashes plain values and sends digests unchanged. `prehashed` treats a plain value as a bad record.",
        default=Hashing.AUTO,
    )
    hash_algorithm: HashAlgorithm = setting(
        "Hash algorithm",
        "The algorithm with which the target hashes plain values.",
        default=HashAlgorithm.SHA256,
    )
    bad_records: BadRecords = setting(
        "Bad records",
        "`skip` counts bad rows and leaves them out. `fail` delivers everything before the first bad row and exits 5.",
        default=BadRecords.SKIP,
    )
    max_rejected_percent: int = setting(
        "Maximum rejected, in percent",
        "The share of identities that may be rejected. Above it, the run delivers the good ones and exits 5.",
        between=(0, 100),
        default=100,
    )
    rejects_path: Path | None = setting(
        "Rejects file",
        "A JSON Lines file of the rejected rows: where each is and why it was rejected, never the value.",
    )
    holdout_path: Path | None = setting(
        "Hold-out file",
        "A JSON Lines file of the rows that are held out (`holdout_percent`): the stream and the key of each, for a "
        "join in your warehouse. It holds no plain identity.",
    )
    max_removal_percent: int = setting(
        "Maximum removed, in percent",
        "The share of a list's members that may be removed, in one run and in 24 hours, because their rows changed or "
        "are missing. Ten people may always be removed, as long as half of the list remains. Above the share, the run "
        "removes no one else and exits 6. Refusals have no ceiling.",
        between=(0, 100),
        default=DEFAULT_REMOVAL_PERCENT,
    )
    max_deleted_percent: int = setting(
        "Maximum deleted, in percent",
        "The share of a list's members that may be removed, in one run and in 24 hours, because `removal_column` marks "
        "their rows as deleted; and the share of those kept off it who may come back because their rows in "
        "a stream with `operation: remove` are deleted. Ten people may always be removed. Above the share, the run "
        "sends nothing else and exits 6. 100 switches this ceiling off.",
        between=(0, 100),
        default=50,
    )
    missing_ledger: MissingLedger = setting(
        "Missing ledger",
        "What to do if the list exists and the ledger does not know it: `warn` and send everyone again, or `stop` with "
        "exit code 7, for containers that could lose their ledger.",
        default=MissingLedger.WARN,
    )
    empty_stream: EmptyStream = setting(
        "Empty stream",
        "What to do if the input has neither a row nor a STATE, as from a tap that failed before its first row: `warn` "
        "and exit 0, or `fail` with exit code 8. Either way the run does not count as a success.",
        default=EmptyStream.WARN,
    )
    batch_size_rows: int = setting(
        "Batch size",
        "The maximum number of identities in one request.",
        between=(1, 1_000_000),
        default=10_000,
    )
    max_request_bytes: int = setting(
        "Maximum request size, in bytes",
        "The maximum size of the body of one request. The limit that is reached first applies.",
        between=(1_000, 1_000_000_000),
        default=1_000_000,
    )
    max_retries: int = setting(
        "Maximum retries",
        "How often the target retries a request after a transient failure. Waiting for a rate limit does not count.",
        between=(0, 1_000),
        default=8,
    )
    initial_backoff_ms: int = setting(
        "Initial backoff, in milliseconds",
        "The upper bound of the random wait before the first retry. It doubles with each retry.",
        between=(1, 86_400_000),
        default=500,
    )
    max_backoff_ms: int = setting(
        "Maximum backoff, in milliseconds",
        "The upper bound of any single wait. If a rate limit asks for more, the run exits 4.",
        between=(1, 86_400_000),
        default=300_000,
    )
    connect_timeout_seconds: int = setting(
        "Connect timeout, in seconds",
        "How long to wait for a connection.",
        between=(1, 86_400),
        default=30,
    )
    read_timeout_seconds: int = setting(
        "Read timeout, in seconds",
        "How long to wait for the next bytes of a response.",
        between=(1, 86_400),
        default=180,
    )
    streams: Mapping[str, Mapping[str, Any]] = setting(
        "Streams",
        "Settings for single streams, by stream name or glob pattern (`*` matches all): any setting from "
        "`customer_list_id` to `source_name`. Name every further stream with identities here, even if only with `{}`. "
        "If two sources of settings have `streams`, each setting of each stream counts by itself.",
    )
    unmapped_streams: UnmappedStreams = setting(
        "Unmapped streams",
        "What a run does if none of its streams has an identity column: `fail` with exit code 2 and without a STATE, "
        "or `warn`, for a loader that receives every table.",
        default=UnmappedStreams.FAIL,
    )
    ledger_url: str | None = setting(
        "Ledger",
        "Where the target keeps what it must remember between runs: `sqlite:///path` or `postgresql://…`. By default "
        "SQLite under `$MELTANO_PROJECT_ROOT/.meltano/target-pinterest-audience/`, else in the user's state directory.",
        secret=True,
    )
    """`sqlite:///` and an absolute path, or `postgresql://…`; None if it is not set and this user has no home."""
    lock_wait_seconds: int = setting(
        "Lock wait, in seconds",
        "How long to wait for another run that works on the same list, or for a PostgreSQL server that is away, before "
        "this run exits 7.",
        between=(0, 86_400),
        default=600,
    )
    report_path: Path | None = setting(
        "Report file",
        "The file for a JSON report of the run: what was read, rejected and sent, and how the run ended.",
    )
    metrics_path: Path | None = setting(
        "Metrics file",
        "The file for the figures of the run in Prometheus's text format, written when the run ends, for the textfile "
        "collector of node_exporter. Its name should end in `.prom`, and each loader needs a file of its own.",
    )
    dry_run: bool = setting(
        "Dry run",
        "Read, hash, compare with the ledger and report what would be sent, but change nothing, neither at Pinterest "
        "nor in the ledger, and emit no STATE.",
        default=False,
    )
    validate_records: bool = setting(
        "Validate records",
        "Whether to check each record against its stream's JSON schema. Identities are checked in any case. "
        "Validation takes most of the time of a run.",
        default=False,
    )
    notify_urls: tuple[str, ...] = setting(
        "Alert URLs",
        "Where to send alerts, as URLs of [apprise](https://appriseit.com), such as "
        '`["slack://...", "mailto://..."]`. Needs the extra `notify`.',
        secret=True,
    )
    notify_rejected_percent: int = setting(
        "Alert on rejected values, in percent",
        "Send an alert if a run rejects more than this share of its values.",
        between=(0, 100),
        default=5,
    )
    notify_size_change_percent: int = setting(
        "Alert on size change, in percent",
        "Send an alert if a list grows or shrinks between two runs by more than this share and by more than ten "
        "people.",
        between=(1, 1_000_000),
        default=30,
    )
    notify_match_drop_percent: int = setting(
        "Alert on a falling match rate, in percent",
        "Send an alert if a list's match rate, the people whom Pinterest recognises as a share of the rows, falls by "
        "more than this share of itself within three days. 100 switches this alert off.",
        between=(1, 100),
        default=20,
    )
    notify_stale_hours: int = setting(
        "Alert without success, in hours",
        "Send an alert if no run has succeeded for longer than this. Let a scheduler call `pinterest-audience alerts` "
        "to be alerted when no run starts at all.",
        between=(1, 87_600),
        default=26,
    )
    stream_defaults: Mapping[str, Any]
    """The raw settings of the top level that `streams` may override, defaults included."""
    choice_of_lists: Mapping[str, Any]
    """The settings that choose which rows go to which lists; they tell configurations apart."""
    effects: Mapping[str, Any]
    """The settings that change what rows say; if one changes, people may leave a list for that reason alone."""

    @property
    def needs_ledger(self) -> bool:
        """Whether a run may have to write to a ledger."""
        methods = {stream.get("load_method", self.default_stream.load_method) for stream in self.streams.values()}
        return {self.default_stream.load_method, *methods} != {LoadMethod.APPEND_ONLY}

    @property
    def can_sign_in(self) -> bool:
        """Whether there is a way to sign in. Commands that ask nothing of Pinterest do without one."""
        return self.access_token is not None or (self.client_id is not None and self.client_secret is not None)

    @property
    def secrets(self) -> tuple[str | None, ...]:
        """The values that no log may show."""
        password = urlsplit(self.ledger_url or "").password
        in_ledger_url = unquote(password) if password else None
        return self.access_token, self.client_secret, self.refresh_token, in_ledger_url, *self.notify_urls

    @property
    def phone_countries(self) -> frozenset[str]:
        """The countries that any stream's settings name for its phone numbers, as ISO 3166 codes."""
        named = [self.default_stream.phone_country, *(each.get("phone_country") for each in self.streams.values())]
        return frozenset(code for each in named if (code := country_code(each)) is not None)

    def for_stream(self, stream: str) -> StreamSettings:
        """Return the settings of a stream, by its name after stream maps.

        Raises:
            ConfigurationError: patterns that match the name contradict each other.
        """
        overrides = overrides_for(stream, self.streams, LIST_CHOICES)
        return self.default_stream if overrides is None else overridden(self.stream_defaults, overrides, stream)


def overridden(defaults: Mapping[str, Any], overrides: Mapping[str, Any], stream: str) -> StreamSettings:
    """Return the settings of a stream to which `streams` gives settings of its own.

    Raises:
        ConfigurationError: a setting breaks a rule; see `rules.check_stream`.
    """
    if any(name in overrides for name in LIST_CHOICES):
        # A stream that chooses its own list must not also inherit another choice.
        defaults = {name: value for name, value in defaults.items() if name not in LIST_CHOICES}
    return StreamSettings.of({**defaults, **overrides}, f"streams.{stream}.", frozenset(overrides))


_PROPERTIES: Final = properties_of(Settings)

OWN_SETTINGS: Final = tuple(_PROPERTIES)
"""Every setting of this target's own; the SDK adds stream maps, flattening and record metadata."""


def config_jsonschema() -> dict[str, Any]:
    """Return the JSON schema of the target's own settings, as a new object, because the SDK adds its own to it."""
    return {
        "type": "object",
        "properties": copy.deepcopy(_PROPERTIES),
        "required": required(_PROPERTIES),
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }
