"""The tables of a ledger, as the steps that lead from each version to the next."""

from __future__ import annotations

from typing import Final

from target_pinterest_audience.errors import LedgerError

_MEMBERSHIP: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value {blob} NOT NULL)",
    "CREATE TABLE realms (realm INTEGER PRIMARY KEY, api_url TEXT NOT NULL, ad_account_id TEXT NOT NULL)",
    (
        "CREATE TABLE sources (source INTEGER PRIMARY KEY, realm INTEGER NOT NULL, name TEXT NOT NULL, "
        "key_properties TEXT, UNIQUE (realm, name))"
    ),
    (
        "CREATE TABLE slots (slot INTEGER PRIMARY KEY, column_name TEXT NOT NULL, identity_type TEXT NOT NULL, "
        "UNIQUE (column_name, identity_type))"
    ),
    (
        "CREATE TABLE lists (list INTEGER PRIMARY KEY, realm INTEGER NOT NULL, customer_list_id TEXT, name TEXT, "
        "members BIGINT NOT NULL, base_members BIGINT NOT NULL, derived BIGINT NOT NULL, closed INTEGER NOT NULL, "
        "UNIQUE (realm, customer_list_id))"
    ),
    (
        "CREATE TABLE pins (realm INTEGER NOT NULL, reference TEXT NOT NULL, list INTEGER NOT NULL, "
        "PRIMARY KEY (realm, reference))"
    ),
    "CREATE TABLE feeds (source INTEGER NOT NULL, list INTEGER NOT NULL, PRIMARY KEY (source, list))",
    # What rows say; the run that last saw each.
    (
        "CREATE TABLE row_says (row_key {blob} PRIMARY KEY, source INTEGER NOT NULL, seen INTEGER NOT NULL, "
        "says {blob} NOT NULL) {clustered}"
    ),
    # How many statements name each identity: an index of what rows say, kept in step with them.
    (
        "CREATE TABLE members (list INTEGER NOT NULL, identity {blob} NOT NULL, contributors INTEGER NOT NULL, "
        "refusers INTEGER NOT NULL, PRIMARY KEY (list, identity)) {clustered}"
    ),
    # What is about to be sent, or may have been sent without an answer.
    (
        "CREATE TABLE unsettled (list INTEGER NOT NULL, note BIGINT NOT NULL, identities {blob} NOT NULL, "
        "PRIMARY KEY (list, note))"
    ),
)

_RUNS: Final = (
    (
        "CREATE TABLE runs (run INTEGER PRIMARY KEY, realm INTEGER NOT NULL, configuration TEXT NOT NULL, "
        "started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION, outcome TEXT NOT NULL, pruned INTEGER NOT NULL, "
        "settings TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE run_feeds (run INTEGER NOT NULL, list INTEGER NOT NULL, source INTEGER NOT NULL, "
        "row_count BIGINT NOT NULL, incremental INTEGER NOT NULL, overwrites INTEGER NOT NULL, "
        "PRIMARY KEY (run, list, source))"
    ),
)

_ERASURE: Final = (
    # Who must never be on any list of the ad account again.
    (
        "CREATE TABLE suppressions (realm INTEGER NOT NULL, identity {blob} NOT NULL, since DOUBLE PRECISION NOT NULL, "
        "PRIMARY KEY (realm, identity)) {clustered}"
    ),
    # When a run last began to read each source; what is not known is taken for as late as it can be.
    "ALTER TABLE sources ADD COLUMN last_read DOUBLE PRECISION",
    "UPDATE sources SET last_read = (SELECT MAX(started) FROM runs WHERE runs.realm = sources.realm)",
)

_HISTORY: Final = (
    # What people are told of runs and prunes.
    (
        "CREATE TABLE history (entry INTEGER PRIMARY KEY, realm INTEGER NOT NULL, kind TEXT NOT NULL, "
        "started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION, exit_code INTEGER, calls BIGINT, "
        "limited_seconds DOUBLE PRECISION)"
    ),
    (
        "CREATE TABLE history_lists (entry INTEGER NOT NULL, list INTEGER NOT NULL, members BIGINT, matched BIGINT, "
        "added BIGINT NOT NULL, removed BIGINT NOT NULL, refused BIGINT NOT NULL, rejected TEXT NOT NULL, "
        "PRIMARY KEY (list, entry))"
    ),
    # A line for each request that removed somebody.
    (
        "CREATE TABLE removals (removal INTEGER PRIMARY KEY, realm INTEGER NOT NULL, entry INTEGER NOT NULL, "
        "list INTEGER NOT NULL, accepted DOUBLE PRECISION NOT NULL, causes TEXT NOT NULL, request_id TEXT)"
    ),
    "ALTER TABLE unsettled ADD COLUMN causes {blob}",
)

_ALERTS: Final = (
    # Alerts that hold, and when somebody was told last.
    (
        "CREATE TABLE alerts (realm INTEGER NOT NULL, configuration TEXT NOT NULL, name TEXT NOT NULL, "
        "alert TEXT NOT NULL, since DOUBLE PRECISION NOT NULL, told DOUBLE PRECISION, "
        "PRIMARY KEY (realm, configuration, name))"
    ),
)

_FENCES: Final = (
    # The fencing number of whoever took each lock last.
    "CREATE TABLE fences (name_digest BIGINT PRIMARY KEY, number BIGINT NOT NULL)",
    "CREATE INDEX fences_by_number ON fences (number)",
)

_HEALING: Final = (
    # When a note is sent; NULL: by the next run.
    "ALTER TABLE unsettled ADD COLUMN due DOUBLE PRECISION",
    # What the unanswered request asked for; NULL: perhaps both.
    "ALTER TABLE unsettled ADD COLUMN sent TEXT",
)

MIGRATIONS: Final = (_MEMBERSHIP, _RUNS, _ERASURE, _HISTORY, _ALERTS, _FENCES, _HEALING)
"""The statements that lead to version 1, from there to version 2, and so on. Released ones are never changed."""

VERSION: Final = len(MIGRATIONS)


def missing_steps(version: int, where: str) -> tuple[tuple[str, ...], ...]:
    """Return the steps that a ledger lacks.

    Args:
        version: what it has; 0 for an empty database.
        where: its place, for the message.

    Raises:
        LedgerError: it comes from a newer version of this program, whose tables this one does not know.
    """
    if version > VERSION:
        msg = (
            f"{where} was written by a newer version of target-pinterest-audience (its schema is {version}, this "
            f"version knows {VERSION}). Install that version again; this one leaves the ledger as it is."
        )
        raise LedgerError(msg)
    return MIGRATIONS[version:]
