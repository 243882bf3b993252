"""The vocabulary of `--json`: every word that the companion's commands print, and the words of each command.

A word has one type and one meaning in all commands. `tests/companion/test_json_output.py` compares what commands
really print with the schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

Schema = Mapping[str, Any]
"""A JSON schema."""

_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9]+$"}
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": "number"}
_FLAG: Final[Schema] = {"type": "boolean"}
_TIME: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$",
}
_COUNTS: Final[Schema] = {"type": "object", "additionalProperties": _COUNT}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}
_IDS: Final[Schema] = {"type": "array", "items": _ID}


class Word(NamedTuple):
    """A word of the vocabulary."""

    schema: Schema
    kind: str
    """The type, for people."""
    meaning: str


def _words(schema: Schema, kind: str, /, **meanings: str) -> dict[str, Word]:
    return {name: Word(schema, kind, meaning) for name, meaning in meanings.items()}


VOCABULARY: Final[Mapping[str, Word]] = {
    **_words(
        _ID, "id",
        id="Pinterest's id of the thing that the object is about.",
        ad_account_id="The ad account.",
        customer_list_id="A customer list; null if it is not created yet.",
        audience_id="An audience.",
    ),
    **_words(_IDS, "array of ids", audience_ids="The audiences of a customer segment."),
    **_words(
        _TIME, "time",
        at="When the receipt was written.",
        accepted="When Pinterest accepted the request.",
        changed="When the thing last changed at Pinterest.",
        started="When the run or command began.",
        ended="When it ended; null if it is still active, or was killed.",
        since="When the problem was found first.",
        sent="When the alert was last sent.",
        last_read="When a run last began to read the source.",
        last_rows="When a run last began to read rows for the list.",
        last_success="When a run last succeeded.",
    ),
    **_words(
        _COUNT, "count",
        members="Identities that belong on the list, by the ledger; null if the ledger does not know the list.",
        contributing_rows="Rows that contribute to the list, or the person to it, by the ledger; null like `members`.",
        people="Given identities that were on the list, by the ledger; each counts as a person.",
        refusing_rows="Rows that refuse the person on the list, or hold them out.",
        matched="People whom Pinterest recognises; null while it is matching.",
        pending="Identities that a run noted and Pinterest has not accepted yet.",
        added="Identities that were added.",
        removed="Identities that were removed: by the run or command, or from the list so far.",
        uploaded="Identities in all additions to the list so far, repetitions included.",
        refused="Identities that Pinterest refused one by one.",
        left_out="Identities for a list that does not exist and that the target must not create.",
        deleted="Members that were deleted from the ledger.",
        deleted_runs="Runs that were deleted from the ledger.",
        identities="Identities that were given to the command, or that the request removed.",
        lifted="Digests and ids that are no longer suppressed.",
        suppressions="Digests and ids that `forget` suppresses.",
        requests="Requests to the list that Pinterest accepted or refused.",
        calls="Requests to Pinterest, retries included.",
        writes="Requests that wrote to Pinterest.",
        rows="Rows that the run read, without those that are marked as deleted.",
        held_out="Rows that the run held out.",
        run="The number of a run or command in the ledger.",
        number="The position of the address in `notify_urls`, or of the value among those given, from 1.",
        exit_code="The exit code; null if the run is still active, or was killed.",
        valid_days="For how many days after the last run the sign-in is valid.",
        format="The version of the report's form.",
    ),
    **_words(
        _NUMBER, "number",
        match_percent="`matched` as a share of `contributing_rows`, in percent.",
        limited_seconds="How long requests waited for Pinterest's rate limits.",
        seconds="How long the receiver took.",
        value="How much of it, in `unit`.",
    ),
    **_words(
        _COUNTS, "object of counts",
        counts="What the command counted, such as `identities`, `lists` and `removed`.",
        causes="Cause of removal → identities.",
        rejected="Reason → rejected values.",
    ),
    **_words(
        _FLAG, "true or false",
        active="Whether it may show ads.",
        asked_pinterest="Whether the figures are from Pinterest; if not, from the last run.",
        complete="Whether the probe ended by itself.",
        dry_run="Whether nothing was changed.",
        empty="Whether the tap sent neither a row nor a STATE.",
        is_nca="Whether the list is for new customer acquisition.",
        known="Whether the ledger knows the row or the person.",
        on_list="Whether the person belongs on the list, by the ledger.",
        list_was_emptied="Whether the probe removed its identities.",
        pruned="Whether `prune` has acted on the run.",
        suppressed="Whether no run adds these people again.",
        taken="Whether the receiver accepted the message.",
    ),
    **_words(_TEXTS, "array of texts",
        customer_lists="Names of customer lists.",
        request_ids="Pinterest's ids of the requests, which its support needs.",
        sources="The sources that feed the list.",
        uses_unread="Sentences on the uses that Pinterest did not show.",
    ),
    **_words(
        _TEXT, "text",
        answer="What the probe found out.",
        asked="Whom the probe asked.",
        audience_status="Pinterest's status of the list's audience, such as `READY` or `TOO_SMALL`.",
        chosen_by="How the settings refer to the list.",
        column="The column that named the identity.",
        command="`run`, `prune`, or the name of another command.",
        customer_list="The name of a customer list.",
        day="The day of the probe, in UTC.",
        detail="The result, in a sentence.",
        error="The error message, as the log has it; null if it did not fail, or was killed.",
        file="The path of the file that was written.",
        host="The machine on which the command ran.",
        how="How it uses the audience: `includes`, `excludes`, `holds` ...",
        identity_type="`EMAIL`, `PHONE`, `IDFA` ...",
        key="The key of the question.",
        kind="The kind of alert, such as `stale`; or of what uses an audience, such as `campaign`.",
        ledger="Where the ledger is.",
        name="The name of the thing that the object is about.",
        outcome="How it ended, in words.",
        problem="What needs doing first; null if nothing does.",
        question="What the probe asked.",
        reason="`on the list` if some of the people were there by the ledger, else `precaution`.",
        reference="The number of the request, from `--reference`; null if none was given.",
        refresh_token="The refresh token: a secret.",  # noqa: S106 - its meaning
        report="What the report is about.",
        request_id="Pinterest's id of the request, which its support needs.",
        scheme="The scheme of the address; the rest of it is secret.",
        source="The source: a stream, or `source_name`.",
        state="`ok`, `warning` or `failed`; of an alert, `due` or `sent`.",
        statement="What the row says about the identity, such as `contributes`.",
        status="Pinterest's status of the thing, such as `READY` or `ACTIVE`.",
        stored_in="Where the sign-in is stored.",
        sure="How sure the answer is.",
        text="The message of the alert.",
        title="The title of the alert.",
        type="Pinterest's type of the audience, such as `CUSTOMER_LIST`.",
        unit="What `value` counts.",
        untargetable="Why campaigns cannot target it; null if they can, or if that is not known.",
        user="The user who ran the command.",
        version="The version of the program.",
    ),
    "evidence": Word({"type": "array", "items": {"type": "object"}}, "array of objects", "What Pinterest answered."),
    "stopped_by": Word({"type": "object"}, "object", "What ended the probe early."),
    "sizing": Word({}, "anything", "The estimated size, as Pinterest gives it; with `--sizing` only."),
}  # fmt: skip
"""Every word → its type and meaning."""


class Shape(NamedTuple):
    """An object that a command prints.

    Attributes:
        words: its words, with blanks between them. A `?` after a word: it may be null; a `~`: it may be missing.
        nested: word → the shape of the object, or of the objects in an array, that it holds.
        is_array: whether an array of such objects is printed.
        may_be_null: whether null may be printed.
    """

    words: str
    nested: Mapping[str, Shape] = {}
    is_array: bool = True
    may_be_null: bool = False


_AUDIENCE: Final = "id name? type? status? matched? customer_list_id? is_nca? changed?"
_SEGMENT: Final = "id name? status? audience_ids changed?"
_LIST: Final = "id name? status? uploaded? removed? is_nca? changed?"
_FIGURES: Final = "members? contributing_rows? matched? match_percent?"
_USES: Final = Shape("kind id name? status? how active")
_DELETED: Final = Shape("id? name? deleted")

_RECEIPT: Final = "at ad_account_id identities suppressed dry_run reference? user host"
_ON_LISTS: Final = {"lists": Shape("accepted? customer_list_id customer_list? people reason outcome request_ids")}

SHAPES: Final[Mapping[str, Shape]] = {
    "alerts": Shape("command kind title text since sent? state"),
    "alerts --test": Shape("number scheme taken seconds"),
    "audiences": Shape(_AUDIENCE),
    "audiences create": Shape(_AUDIENCE, is_array=False),
    "audiences delete": Shape(_AUDIENCE, is_array=False),
    "audiences lookalike": Shape(_AUDIENCE, is_array=False),
    "audiences rename": Shape(_AUDIENCE, is_array=False),
    "audiences show": Shape(f"{_AUDIENCE} untargetable? uses_unread", {"uses": _USES}, is_array=False),
    "check": Shape("name state detail"),
    "check --rows": Shape("name value unit state detail"),
    "clear": Shape("customer_list_id? customer_list? removed refused requests dry_run", is_array=False),
    "forget": Shape(_RECEIPT, _ON_LISTS, is_array=False),
    "forget --also": Shape(_RECEIPT, _ON_LISTS),
    "ledger audit": Shape(
        "command started ended? exit_code? user host reference? customer_list_id? customer_list? counts"
    ),
    "ledger backup": Shape("ledger file pending", is_array=False),
    "ledger expire": Shape(
        "deleted_runs dry_run",
        {"stale_sources": Shape("source last_read? customer_lists"), "lists": _DELETED},
        is_array=False,
    ),
    "ledger find": Shape(
        "known",
        {"statements": Shape("customer_list_id? customer_list? column identity_type statement")},
        is_array=False,
    ),
    "ledger find --email": Shape(
        "number known suppressed",
        {"lists": Shape("customer_list_id? customer_list? on_list contributing_rows refusing_rows pending")},
    ),
    "ledger reset": Shape("ledger dry_run", {"lists": _DELETED}, is_array=False),
    "ledger show": Shape(
        "ledger suppressions",
        {
            "lists": Shape("id? name? members pending sources"),
            "runs": Shape("run started? ended? outcome rows pruned"),
        },
        is_array=False,
    ),
    "lists": Shape(f"{_LIST} {_FIGURES} untargetable?"),
    "lists show": Shape(
        f"{_LIST} {_FIGURES} audience_id? audience_status? ledger sources pending? untargetable? uses_unread",
        {"uses": _USES},
        is_array=False,
    ),
    "login": Shape("stored_in valid_days?", is_array=False),
    "login --print": Shape("refresh_token valid_days?", is_array=False),
    "probe": Shape(
        "report format version day asked complete stopped_by? writes list_was_emptied",
        {"findings": Shape("key question answer sure evidence")},
        is_array=False,
    ),
    "prune": Shape(
        "dry_run",
        {
            "lists": Shape(
                f"customer_list_id? customer_list? chosen_by {_FIGURES} status? added removed causes refused left_out "
                "requests"
            )
        },
        is_array=False,
    ),
    "readmit": Shape("identities lifted dry_run", is_array=False),
    "report": Shape(
        "ledger",
        {
            "lists": Shape(f"id? name? {_FIGURES}"),
            "runs": Shape(
                "run command started ended? exit_code? outcome error? empty held_out calls? limited_seconds?",
                {"lists": Shape(f"customer_list_id? customer_list? {_FIGURES} added removed causes refused rejected")},
            ),
            "removals": Shape("run accepted customer_list_id? customer_list identities causes request_id?"),
        },
        is_array=False,
    ),
    "segments": Shape(f"{_SEGMENT} sizing~"),
    "segments create": Shape(_SEGMENT, is_array=False),
    "segments delete": Shape(_SEGMENT, is_array=False),
    "segments update": Shape(_SEGMENT, is_array=False),
    "status": Shape(
        "ledger asked_pinterest last_success?",
        {
            "newest_run": Shape("run started ended? exit_code? outcome error?", is_array=False, may_be_null=True),
            "lists": Shape(f"id? name? audience_status? {_FIGURES} last_rows? problem?"),
        },
        is_array=False,
    ),
}
"""Command, with the option that changes what it prints → what it prints."""
