"""Every setting, declared once: name, type, default, and the text that users read."""

from __future__ import annotations

from typing import Any, Final

from singer_sdk import typing as th

from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.marks import DEFAULT_REMOVAL_COLUMN

DEFAULT_API_URL: Final = "https://api.pinterest.com/v5"
DEFAULT_CONSENT_VALUES: Final = (
    "1",
    "true",
    "t",
    "yes",
    "y",
    "on",
    "granted",
    "subscribed",
    "opted_in",
    "opt_in",
)

_ID_PATTERN: Final = r"^[0-9]{1,18}$"


def _values(enum: type[Hashing | HashAlgorithm]) -> list[str]:
    return [member.value for member in enum]


_CONNECTION = (
    th.Property(
        "ad_account_id",
        th.StringType(pattern=_ID_PATTERN),
        required=True,
        title="Ad account id",
        description="The Pinterest ad account that owns the customer lists: digits, at most 18.",
    ),
    th.Property(
        "access_token",
        th.StringType,
        secret=True,
        title="Access token",
        description="A ready access token with the scopes `ads:read` and `ads:write`. Without one, `client_id` and "
        "`client_secret` are needed, and `pinterest-audience login` or a `refresh_token`.",
    ),
    th.Property(
        "client_id",
        th.StringType,
        title="App id",
        description="The id of your Pinterest app, for signing in and renewing access tokens by OAuth.",
    ),
    th.Property(
        "client_secret",
        th.StringType,
        secret=True,
        title="App secret",
        description="The secret of your Pinterest app, for signing in and renewing access tokens by OAuth.",
    ),
    th.Property(
        "refresh_token",
        th.StringType,
        secret=True,
        title="Refresh token",
        description="The OAuth refresh token; by default the one that `pinterest-audience login` has kept. Used when "
        "there is no `access_token`, or when it has expired. Pinterest replaces it each time it is used; the newest "
        "one is kept in `credentials_file`.",
    ),
    th.Property(
        "credentials_file",
        th.StringType,
        title="Credentials file",
        description="Where the newest refresh token is kept between runs (mode 0600). By default "
        "`credentials.json` beside a SQLite ledger, or inside a PostgreSQL one.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        default=DEFAULT_API_URL,
        title="API address",
        description="The address of the Pinterest API: https, or http on the loopback interface for the emulator.",
    ),
)

_PER_STREAM = (
    th.Property(
        "customer_list_id",
        th.StringType(pattern=_ID_PATTERN),
        title="Customer list id",
        description="The id of an existing customer list to keep in step. Give this, or `customer_list_name`, or "
        "`audience_id`.",
    ),
    th.Property(
        "customer_list_name",
        th.StringType,
        title="Customer list name",
        description="The exact name of the customer list; it is created with the first identities if there is none. "
        "By default the name of the stream.",
    ),
    th.Property(
        "audience_id",
        th.StringType(pattern=_ID_PATTERN),
        title="Audience id",
        description="The id of an existing audience of type CUSTOMER_LIST, whose list is kept in step.",
    ),
    th.Property(
        "create_audience",
        th.BooleanType,
        default=True,
        title="Create the audience",
        description="Whether to make the audience that lets the list be targeted in campaigns, unless there is one.",
    ),
    th.Property(
        "audience_name",
        th.StringType,
        title="Audience name",
        description="The name of the audience that is created. By default the name of the list.",
    ),
    th.Property(
        "audience_description",
        th.StringType,
        title="Audience description",
        description="The description of the audience that is created.",
    ),
    th.Property(
        "identity_columns",
        th.ObjectType(additional_properties=True),
        title="Identity columns",
        description='Which columns hold which type of identity, such as `{"mail": "EMAIL", "ios_id": "IDFA"}`. '
        "Types: EMAIL, IDFA, GAID, MAID, LR_ID, DLX_ID, HASHED_PINNER_ID. By default, columns are found by name.",
    ),
    th.Property(
        "one_list_per_type",
        th.BooleanType,
        default=False,
        title="One list per type",
        description="Whether e-mail addresses, IDFAs and other mobile ad ids go to lists of their own, named "
        "`<name> - EMAIL`, `<name> - IDFA` and `<name> - MAID`, instead of sharing one.",
    ),
    th.Property(
        "load_method",
        th.StringType,
        default="upsert",
        allowed_values=["upsert", "append-only", "overwrite"],
        title="Load method",
        description="`upsert` keeps the list in step row by row; `append-only` sends every identity that comes; "
        "`overwrite` is `upsert` and lets `pinterest-audience prune` remove whom a complete run did not name.",
    ),
    th.Property(
        "operation",
        th.StringType,
        default="add",
        allowed_values=["add", "remove"],
        title="Operation",
        description="`remove`: the stream names people who must not be on the list.",
    ),
    th.Property(
        "removal_column",
        th.StringType,
        default=DEFAULT_REMOVAL_COLUMN,
        title="Removal column",
        description="A row with a value in this column is deleted: its identities are never added, and are removed. "
        "`_sdc_deleted_at` always counts beside it. The names match in any case. If you set this, every stream with "
        "identities must have the column. These count as no value: null, NaN, false, 0, empty text, zero dates "
        "(`0000-00-00`), and in any case the texts `0`, `0.0`, `false`, `f`, `no`, `n`, `off`, `null`, `none`, `nan`, "
        "`undefined` and `\\N`. Where `operation` is `remove`, a deleted row asks for nothing.",
    ),
    th.Property(
        "consent_column",
        th.StringType,
        title="Consent column",
        description="A row whose value here is not true, 1 or one of `consent_values` refuses to be on the list: no "
        "other row can put its identities there until the same row grants again.",
    ),
    th.Property(
        "consent_values",
        th.ArrayType(th.StringType),
        default=list(DEFAULT_CONSENT_VALUES),
        title="Words for consent",
        description="The texts in `consent_column` that mean yes, in any case; true and the number 1 always do. In "
        'YAML, put them in quotes: `["yes", "on"]`.',
    ),
    th.Property(
        "list_name_column",
        th.StringType,
        title="List name column",
        description="Sends each row to the list named in this column: many audiences from one table. A row whose name "
        "changes leaves its old list; a row without a name is on none.",
    ),
    th.Property(
        "source_name",
        th.StringType,
        title="Source name",
        description="Tells rows of different sources apart when several feed one list. By default the stream's name. "
        "Rows of one name are one table's, whichever tap they come from.",
    ),
)

_HASHING = (
    th.Property(
        "hashing",
        th.StringType,
        default=Hashing.AUTO.value,
        allowed_values=_values(Hashing),
        title="Hashing",
        description="`auto` hashes what is plain and leaves what is a digest; with `prehashed` a plain value is a bad "
        "record.",
    ),
    th.Property(
        "hash_algorithm",
        th.StringType,
        default=HashAlgorithm.SHA256.value,
        allowed_values=_values(HashAlgorithm),
        title="Hash algorithm",
        description="The digest for the values that are hashed here.",
    ),
)

_REJECTS_AND_REMOVALS = (
    th.Property(
        "bad_records",
        th.StringType,
        default="skip",
        allowed_values=["skip", "fail"],
        title="Bad records",
        description="`skip` counts and sets aside bad rows; `fail` delivers what came before the first and exits 5.",
    ),
    th.Property(
        "max_rejected_percent",
        th.IntegerType(minimum=0, maximum=100),
        default=100,
        title="Most rejected, in percent",
        description="The share of identities that may be rejected; above it the run delivers the good ones and exits "
        "5.",
    ),
    th.Property(
        "rejects_path",
        th.StringType,
        title="Rejects file",
        description="A JSON Lines file of the rejected rows: where and why, never the value.",
    ),
    th.Property(
        "max_removal_percent",
        th.IntegerType(minimum=0, maximum=100),
        default=20,
        title="Most removed, in percent",
        description="The share of a list's members that may be removed because their rows changed or were not named "
        "any more, in one run and in 24 hours. Ten people may always be, as long as half of the list remains. Above it "
        "nobody more is removed, and the run exits 6. Refusals have no ceiling.",
    ),
    th.Property(
        "max_deleted_percent",
        th.IntegerType(minimum=0, maximum=100),
        default=50,
        title="Most deleted, in percent",
        description="The share of a list's members that may be removed because `removal_column` marks their rows as "
        "deleted, in one run and in 24 hours. Ten people may always be. Above it nobody more is removed, and the run "
        "exits 6. 100 switches this ceiling off.",
    ),
    th.Property(
        "missing_ledger",
        th.StringType,
        default="warn",
        allowed_values=["warn", "stop"],
        title="Missing ledger",
        description="What to do when the list exists and the ledger knows nothing of it: `warn` and send everybody "
        "anew, or `stop` with exit code 7, for containers that could lose their ledger.",
    ),
    th.Property(
        "empty_stream",
        th.StringType,
        default="warn",
        allowed_values=["warn", "fail"],
        title="Empty stream",
        description="What to do when neither a row nor a STATE comes, as from a tap that died before its first row: "
        "`warn` and exit 0, or `fail` with exit code 8. Either way the run does not count as a success.",
    ),
)

_REQUESTS = (
    th.Property(
        "batch_size_rows",
        th.IntegerType(minimum=1, maximum=1_000_000),
        default=10_000,
        title="Batch size",
        description="The most identities in one request.",
    ),
    th.Property(
        "max_request_bytes",
        th.IntegerType(minimum=1_000, maximum=1_000_000_000),
        default=1_000_000,
        title="Most bytes in a request",
        description="The most bytes in the body of one request; whichever limit is reached first counts.",
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=0, maximum=1_000),
        default=8,
        title="Most retries",
        description="How often a request that failed for a passing reason is tried again. Waiting for a rate limit "
        "does not count.",
    ),
    th.Property(
        "initial_backoff_ms",
        th.IntegerType(minimum=1, maximum=86_400_000),
        default=500,
        title="First wait, in milliseconds",
        description="The bound of the random wait before the first retry; it doubles with each.",
    ),
    th.Property(
        "max_backoff_ms",
        th.IntegerType(minimum=1, maximum=86_400_000),
        default=300_000,
        title="Longest wait, in milliseconds",
        description="The bound of any single wait; a rate limit that asks for more ends the run with exit code 4.",
    ),
    th.Property(
        "connect_timeout_seconds",
        th.IntegerType(minimum=1, maximum=86_400),
        default=30,
        title="Connect time-out, in seconds",
        description="How long to wait for a connection.",
    ),
    th.Property(
        "read_timeout_seconds",
        th.IntegerType(minimum=1, maximum=86_400),
        default=180,
        title="Read time-out, in seconds",
        description="How long to wait for the next bytes of an answer.",
    ),
)

_RUN = (
    th.Property(
        "streams",
        th.ObjectType(additional_properties=True),
        title="Streams",
        description="Settings for single streams, by stream name or glob pattern (`*` names all): any from "
        "`customer_list_id` to `source_name`. A second stream with identities must be named here, if only with `{}`.",
    ),
    th.Property(
        "unmapped_streams",
        th.StringType,
        default="fail",
        allowed_values=["fail", "warn"],
        title="Unmapped streams",
        description="What a run does if none of its streams has an identity column: `fail` with exit code 2 and "
        "without a STATE, or `warn`, for a loader that is fed every table.",
    ),
    th.Property(
        "ledger_url",
        th.StringType,
        secret=True,
        title="Ledger",
        description="Where this connector keeps what it must remember between runs: `sqlite:///path` or "
        "`postgresql://…`. By default SQLite under `$MELTANO_PROJECT_ROOT/.meltano/target-pinterest-audience/`, "
        "else in the user's state directory.",
    ),
    th.Property(
        "lock_wait_seconds",
        th.IntegerType(minimum=0, maximum=86_400),
        default=600,
        title="Lock wait, in seconds",
        description="How long to wait for another run that works on the same list, before this one exits 7.",
    ),
    th.Property(
        "report_path",
        th.StringType,
        title="Report file",
        description="A file for a JSON report of the run: what was read, rejected and sent, and how it ended.",
    ),
    th.Property(
        "dry_run",
        th.BooleanType,
        default=False,
        title="Dry run",
        description="Read, hash, compare with the ledger and tell what would be sent, but change nothing: neither at "
        "Pinterest nor in the ledger, and no STATE goes out.",
    ),
    th.Property(
        "validate_records",
        th.BooleanType,
        default=False,
        title="Validate records",
        description="Whether each record is checked against its stream's JSON schema. Identities are always checked; "
        "this costs most of the time of a run.",
    ),
)

_ALERTS = (
    th.Property(
        "notify_urls",
        th.ArrayType(th.StringType),
        secret=True,
        title="Addresses for alerts",
        description="Where alerts are sent, as addresses of [apprise](https://appriseit.com), such as "
        '`["slack://...", "mailto://..."]`. Needs the extra `notify`.',
    ),
    th.Property(
        "notify_rejected_percent",
        th.IntegerType(minimum=0, maximum=100),
        default=5,
        title="Rejected before an alert, in percent",
        description="An alert is sent if a run rejects more than this share of its values.",
    ),
    th.Property(
        "notify_size_change_percent",
        th.IntegerType(minimum=1, maximum=1_000_000),
        default=30,
        title="Change of size before an alert, in percent",
        description="An alert is sent if a list grows or shrinks by more than this share between two runs, and by more "
        "than ten people.",
    ),
    th.Property(
        "notify_stale_hours",
        th.IntegerType(minimum=1, maximum=87_600),
        default=26,
        title="Hours without success before an alert",
        description="An alert is sent if no run has succeeded for longer than this. `pinterest-audience alerts`, "
        "called by a scheduler, notices it when no run starts.",
    ),
)

_GROUPS = (_CONNECTION, _PER_STREAM, _HASHING, _REJECTS_AND_REMOVALS, _REQUESTS, _RUN, _ALERTS)

PER_STREAM_SETTINGS: Final = tuple(setting.name for setting in _PER_STREAM)
"""The settings that `streams` may override, in the order of the documentation."""

OWN_SETTINGS: Final = tuple(setting.name for group in _GROUPS for setting in group)
"""Every setting that is this target's own; the SDK adds stream maps, flattening and record metadata."""


def config_jsonschema() -> dict[str, Any]:
    """Return the JSON schema of the target's own settings, as a new object.

    The SDK adds its own settings to the object that it is given, so it is never shared.
    """
    return th.PropertiesList(*(setting for group in _GROUPS for setting in group)).to_dict()
