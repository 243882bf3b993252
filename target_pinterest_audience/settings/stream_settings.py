"""The settings of one stream: each declared once, with its type, its default and the text that users read."""

# ruff: noqa: RUF009 - `setting` makes a field, as `dataclasses.field` does

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from target_pinterest_audience.identities.marks import DEFAULT_REMOVAL_COLUMN
from target_pinterest_audience.identities.types import IDENTITY_TYPES, IdentityType
from target_pinterest_audience.records.column_names import plain_columns, plain_name
from target_pinterest_audience.settings import rules
from target_pinterest_audience.settings.schema import properties_of, setting

ID_PATTERN: Final = r"^[0-9]{1,18}$"

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


class LoadMethod(str, Enum):
    """How rows change a list."""

    UPSERT = "upsert"
    APPEND_ONLY = "append-only"
    OVERWRITE = "overwrite"


class Mode(str, Enum):
    """Whether the rows of a stream name people to be on the list, or people who must not be on it."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """The settings that can differ from stream to stream."""

    customer_list_id: str | None = setting(
        "Customer list id",
        "The id of the existing customer list to keep in step. Set this, `customer_list_name` or `audience_id`.",
        pattern=ID_PATTERN,
    )
    customer_list_name: str | None = setting(
        "Customer list name",
        "The exact name of the customer list. If there is no such list, the target creates it with the first "
        "identities. By default the name of the stream.",
    )
    audience_id: str | None = setting(
        "Audience id",
        "The id of an existing audience of type CUSTOMER_LIST; the target keeps its list in step.",
        pattern=ID_PATTERN,
    )
    create_audience: bool = setting(
        "Create the audience",
        "Whether to create the audience through which campaigns target the list, unless there is one.",
        default=True,
    )
    is_nca: bool | None = setting(
        "New customer acquisition",
        "Whether the list is for new customer acquisition: Pinterest matches such a list more broadly, so that "
        "campaigns can exclude existing customers. The target sets this when it creates the list. It can never change: "
        "a list that exists with the other value ends the run with exit code 2. By default the target does not set it, "
        "and accepts both kinds of lists.",
    )
    """None: lists are created without it, and existing lists are accepted as they are."""
    audience_name: str | None = setting(
        "Audience name",
        "The name of the audience that the target creates. By default the name of the list.",
    )
    audience_description: str | None = setting(
        "Audience description",
        "The description of the audience that the target creates.",
    )
    identity_columns: Mapping[str, IdentityType] = setting(
        "Identity columns",
        'Which columns hold which type of identity, such as `{"mail": "EMAIL", "ios_id": "IDFA"}`. A path names a '
        "field of an object (`customer.email`), the elements of an array (`emails[]`), or a field of each "
        "(`emails[].value`). Types: EMAIL, IDFA, GAID, MAID, PHONE, LR_ID, DLX_ID, HASHED_PINNER_ID. By default the "
        "target finds columns by name.",
    )
    """Column or path → type; empty if columns are to be found by name."""
    phone_country: str | None = setting(
        "Phone country",
        "The country of national phone numbers, such as `030 1234567`, as an ISO 3166 code of two letters, such as "
        '`DE`; in YAML, write `"NO"` in quotes. Numbers with + or 00 and a country code do not need it. Needs the '
        "extra `phone`.",
    )
    """In upper case."""
    phone_country_column: str | None = setting(
        "Phone country column",
        "The column that names the country of a row's national phone numbers, as an ISO 3166 code of two letters, or a "
        "path to it (`address.country`). If it is empty, `phone_country` applies. Needs the extra `phone`.",
    )
    one_list_per_type: bool = setting(
        "One list per type",
        "Whether e-mail addresses, IDFAs, other mobile ad ids and phone numbers go to separate lists, named "
        "`<name> - EMAIL`, `<name> - IDFA`, `<name> - MAID` and `<name> - PHONE`, instead of sharing one.",
        default=False,
    )
    load_method: LoadMethod = setting(
        "Load method",
        "`upsert` keeps the list in step row by row. `append-only` sends every identity that it reads. `overwrite` is "
        "`upsert`, and lets `pinterest-audience prune` remove people who are missing from a complete run.",
        default=LoadMethod.UPSERT,
    )
    operation: Mode = setting(
        "Operation",
        "`add`: the rows name people to put on the list. `remove`: the rows name people who must not be on the list. "
        "If that list does not exist, the run ends with exit code 2, and the ledger keeps the refusals: a later run "
        "that creates the list leaves these people out.",
        default=Mode.ADD,
    )
    removal_column: str | None = setting(
        "Removal column",
        "A row with a value in this column is deleted: the target never adds its identities, and removes them. "
        "`_sdc_deleted_at` always counts as well. Names match in any case. If you set this, every stream with "
        "identities must have the column. These count as no value: null, NaN, false, 0, empty text, zero dates "
        "(`0000-00-00`), and in any case the texts `0`, `0.0`, `false`, `f`, `no`, `n`, `off`, `null`, `none`, `nan`, "
        "`undefined` and `\\N`. With `operation: remove`, a deleted row no longer keeps its people off the list.",
        default=DEFAULT_REMOVAL_COLUMN,
    )
    """None: only `_sdc_deleted_at`, which a stream need not have."""
    consent_column: str | None = setting(
        "Consent column",
        "A row whose value here is not true, 1 or one of `consent_values` refuses to be on the list: no other row can "
        "put its identities there until the same row grants consent again.",
    )
    consent_values: frozenset[str] = setting(
        "Consent values",
        "The texts in `consent_column` that mean yes, in any case; true and the number 1 always mean yes. In YAML, put "
        'them in quotes: `["yes", "on"]`.',
        default=list(DEFAULT_CONSENT_VALUES),
    )
    """In lower case and without surrounding blanks."""
    list_name_column: str | None = setting(
        "List name column",
        "Sends each row to the list named in this column: many audiences from one table. A row whose name changes "
        "leaves its old list; a row without a name is on no list.",
    )
    holdout_percent: int = setting(
        "Hold-out, in percent",
        "The share of people to keep off the list, to measure what the ads achieve. The first identity of a row "
        "decides, in the order EMAIL, PHONE, other types, so every run chooses the same people. No other row that the "
        "ledger knows puts them on the list. If the share grows, the newly chosen people leave the list.",
        between=(0, 50),
        default=0,
    )
    holdout_salt: str | None = setting(
        "Hold-out salt",
        "A text that decides who is held out, such as the name of the experiment. Another salt chooses other people.",
    )
    """None: as an empty text."""
    source_name: str | None = setting(
        "Source name",
        "Distinguishes the rows of different tables when several feed one list. By default the name of the stream. "
        "All rows with one source name count as rows of one table, whichever tap sends them.",
    )
    """None: the stream's name."""
    own: frozenset[str] = frozenset()
    """The settings that `streams` gives the stream; the others come from the top level, or are defaults."""

    @property
    def holdout(self) -> tuple[int, str] | None:
        """The percentage and the salt of the hold-out; None if there is none."""
        if not self.holdout_percent or self.operation is Mode.REMOVE:
            return None
        return self.holdout_percent, self.holdout_salt or ""

    @property
    def row_rules(self) -> dict[str, tuple[str | None, ...]]:
        """The settings by which rows refuse, and by which they are deleted. Others lead to other lists or people."""
        return {"refusal": (self.operation.value, self.consent_column), "deletion": (self.removal_column,)}

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str = "", own: frozenset[str] = frozenset()) -> StreamSettings:
        """Return the settings of a stream.

        Args:
            config: the raw settings, defaults included.
            where: the prefix of settings' names in messages, such as `streams.customers.`.
            own: see the attribute.

        Raises:
            ConfigurationError: a setting breaks a rule; see `rules.check_stream`.
        """
        rules.check_stream(config, where, own)
        removal_column = _column(config["removal_column"])
        values = {
            **config,
            "identity_columns": _identity_columns(config.get("identity_columns", {})),
            "removal_column": removal_column if removal_column != DEFAULT_REMOVAL_COLUMN else None,
            "consent_column": _column(config.get("consent_column")),
            "consent_values": [value.strip().lower() for value in config["consent_values"]],
            "list_name_column": _column(config.get("list_name_column")),
            "phone_country": rules.country_code(config.get("phone_country")),
            "phone_country_column": _column(config.get("phone_country_column")),
            "own": own,
        }
        return msgspec.convert({**dict.fromkeys(PER_STREAM_SETTINGS), **values}, cls)


PER_STREAM_SETTINGS: Final = tuple(properties_of(StreamSettings))
"""The settings that `streams` may override, in the order of the documentation."""


def _column(name: str | None) -> str | None:
    return plain_name(name) if name is not None else None


def _identity_columns(columns: Mapping[str, str]) -> dict[str, IdentityType]:
    return {column: IDENTITY_TYPES[name] for column, name in plain_columns(columns).items()}
