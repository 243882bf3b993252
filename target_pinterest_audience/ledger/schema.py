"""The tables of a ledger, as migrations from each version to the next."""

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
    # What rows say, and the mark of the run that last saw each.
    (
        "CREATE TABLE row_says (row_key {blob} PRIMARY KEY, source INTEGER NOT NULL, seen INTEGER NOT NULL, "
        "says {blob} NOT NULL) {clustered}"
    ),
    # How many statements name each identity: an index of what rows say, kept in step with it.
    (
        "CREATE TABLE members (list INTEGER NOT NULL, identity {blob} NOT NULL, contributors INTEGER NOT NULL, "
        "refusers INTEGER NOT NULL, PRIMARY KEY (list, identity)) {clustered}"
    ),
    # Notes: identities that are about to be sent, or may have been sent without an answer.
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
    # Identities that must never be on a list of the ad account again.
    (
        "CREATE TABLE suppressions (realm INTEGER NOT NULL, identity {blob} NOT NULL, since DOUBLE PRECISION NOT NULL, "
        "PRIMARY KEY (realm, identity)) {clustered}"
    ),
    # When a run last began to read each source; if unknown, the latest possible time.
    "ALTER TABLE sources ADD COLUMN last_read DOUBLE PRECISION",
    "UPDATE sources SET last_read = (SELECT MAX(started) FROM runs WHERE runs.realm = sources.realm)",
)

_HISTORY: Final = (
    # Runs and commands, for reports.
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
    # A row for each request that removed people.
    (
        "CREATE TABLE removals (removal INTEGER PRIMARY KEY, realm INTEGER NOT NULL, entry INTEGER NOT NULL, "
        "list INTEGER NOT NULL, accepted DOUBLE PRECISION NOT NULL, causes TEXT NOT NULL, request_id TEXT)"
    ),
    "ALTER TABLE unsettled ADD COLUMN causes {blob}",
)

_ALERTS: Final = (
    # Standing alerts, and when a person was last notified of each.
    (
        "CREATE TABLE alerts (realm INTEGER NOT NULL, configuration TEXT NOT NULL, name TEXT NOT NULL, "
        "alert TEXT NOT NULL, since DOUBLE PRECISION NOT NULL, told DOUBLE PRECISION, "
        "PRIMARY KEY (realm, configuration, name))"
    ),
)

LOADERS: Final = (
    # The settings that fed each list from each source, and their first and last run.
    (
        "CREATE TABLE loaders (source INTEGER NOT NULL, list INTEGER NOT NULL, configuration TEXT NOT NULL, "
        "first_run INTEGER NOT NULL, last_run INTEGER NOT NULL, PRIMARY KEY (source, list, configuration))"
    ),
    (
        "INSERT INTO loaders (source, list, configuration, first_run, last_run) "
        "SELECT source, list, configuration, MIN(run), MAX(run) FROM run_feeds JOIN runs USING (run) "
        "GROUP BY source, list, configuration"
    ),
    # How many rows of other loaders name the same people as this loader's rows with the same keys.
    (
        "CREATE TABLE kinships (source INTEGER NOT NULL, list INTEGER NOT NULL, configuration TEXT NOT NULL, "
        "same BIGINT NOT NULL, differing BIGINT NOT NULL, PRIMARY KEY (source, list, configuration))"
    ),
    # Runs mark the rows that they see, one source at a time. Reader 0 marks in `row_says`, the others in `sightings`.
    "ALTER TABLE sources ADD COLUMN mark INTEGER NOT NULL DEFAULT 0",
    "UPDATE sources SET mark = (SELECT COALESCE(MAX(run), 0) FROM runs)",
    "ALTER TABLE feeds ADD COLUMN reader INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE run_feeds ADD COLUMN mark INTEGER NOT NULL DEFAULT 0",
    "UPDATE run_feeds SET mark = run",
    (
        "CREATE TABLE sightings (reader INTEGER NOT NULL, row_key {blob} NOT NULL, mark INTEGER NOT NULL, "
        "PRIMARY KEY (reader, row_key)) {clustered}"
    ),
    # The slots by which a stream of a source fed a reader's lists, and the mark of the last run that had each.
    (
        "CREATE TABLE stream_slots (source INTEGER NOT NULL, reader INTEGER NOT NULL, stream TEXT NOT NULL, "
        "slot INTEGER NOT NULL, mark INTEGER NOT NULL, PRIMARY KEY (source, reader, stream, slot))"
    ),
    # The hash algorithm of the last run; whether some refusals are known under one algorithm only.
    "ALTER TABLE lists ADD COLUMN hash_algorithm TEXT",
    "ALTER TABLE lists ADD COLUMN partial_refusals INTEGER NOT NULL DEFAULT 0",
    # Until this version a refusal was one digest. Refusals by `forget` have all three.
    (
        "UPDATE lists SET partial_refusals = 1 WHERE EXISTS (SELECT 1 FROM members "
        "WHERE members.list = lists.list AND refusers > 0 AND NOT EXISTS (SELECT 1 FROM suppressions "
        "WHERE suppressions.realm = lists.realm AND suppressions.identity = members.identity))"
    ),
)
"""Tells loaders apart that read the same table. After it, `rekey` writes new member keys."""

_KEY_FORMS: Final = (
    # The rules that bring keys into one form. The digests of existing rows cannot be computed again.
    "ALTER TABLE sources ADD COLUMN key_rules INTEGER NOT NULL DEFAULT 1",
    # Key property → the kinds of its values, as JSON; NULL if they are not known.
    "ALTER TABLE sources ADD COLUMN key_kinds TEXT",
)

_CEILINGS: Final = (
    # The state of a list at the start of each run of the last day, so that many small runs do not empty it.
    (
        "CREATE TABLE list_starts (list INTEGER NOT NULL, start INTEGER NOT NULL, moment DOUBLE PRECISION NOT NULL, "
        "members BIGINT NOT NULL, removal_percent INTEGER NOT NULL, deleted_percent INTEGER NOT NULL, "
        "derived BIGINT NOT NULL, deleted BIGINT NOT NULL, PRIMARY KEY (list, start))"
    ),
)

_EMPTY_RUNS: Final = (
    # Whether the run read neither a row nor a STATE.
    "ALTER TABLE history ADD COLUMN empty INTEGER NOT NULL DEFAULT 0",
)

_FENCES: Final = (
    # The fencing number of the process that took each lock last.
    "CREATE TABLE fences (name_digest BIGINT PRIMARY KEY, number BIGINT NOT NULL)",
    "CREATE INDEX fences_by_number ON fences (number)",
)

_HEALING: Final = (
    # When to send a note; NULL: in the next run.
    "ALTER TABLE unsettled ADD COLUMN due DOUBLE PRECISION",
    # The operation of the unanswered request; NULL if there may have been both.
    "ALTER TABLE unsettled ADD COLUMN sent TEXT",
)

MATCHES: Final = (
    # How many rows contribute to each list: an index of what rows say, kept in step with it.
    "ALTER TABLE lists ADD COLUMN contributing_rows BIGINT NOT NULL DEFAULT 0",
    # The same at the end of a run; NULL if it was not recorded.
    "ALTER TABLE history_lists ADD COLUMN contributing_rows BIGINT",
)
"""Counts what a match rate is a share of. After it, `count_contributing_rows` counts the rows that are there."""

_HOLD_OUT: Final = (
    # How many rows the run held out.
    "ALTER TABLE history ADD COLUMN held_out BIGINT NOT NULL DEFAULT 0",
)
"""From this version on, rows can say that their people are held out."""

_PHONES: Final = ()
"""No table changes, but earlier versions would not know how to send the phone numbers in notes and statements."""

_LAYERS: Final = (
    # The layers of the big tables, in SQLite: how many rows each has, and the layer that its rows are moving to.
    (
        "CREATE TABLE layers (table_name TEXT NOT NULL, layer INTEGER NOT NULL, row_count BIGINT NOT NULL, "
        "target INTEGER, PRIMARY KEY (table_name, layer))"
    ),
)

_SEEN_KEYS: Final = (
    # The keys of rows that runs saw and did not change, sorted and joined; see `marks.seen_keys`.
    (
        "CREATE TABLE seen_keys (source INTEGER NOT NULL, reader INTEGER NOT NULL, mark INTEGER NOT NULL, "
        "piece INTEGER NOT NULL, first_key {blob} NOT NULL, row_keys {blob} NOT NULL, "
        "PRIMARY KEY (source, reader, mark, piece))"
    ),
    "CREATE INDEX seen_keys_in_order ON seen_keys (source, reader, first_key, mark, piece)",
)

_FAILURES: Final = (
    # The error message of a run or command that failed, and the run that a prune acted on.
    "ALTER TABLE history ADD COLUMN error TEXT",
    "ALTER TABLE history ADD COLUMN acted_on INTEGER",
)

_REJECTS: Final = (
    # How many values a run rejected, by stream, column and reason.
    "ALTER TABLE runs ADD COLUMN rejects TEXT",
)

_ACTS: Final = (
    # Who ran commands that change who is on lists, when and why.
    (
        "CREATE TABLE acts (act INTEGER PRIMARY KEY, realm INTEGER NOT NULL, command TEXT NOT NULL, "
        "started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION, exit_code INTEGER, user_name TEXT NOT NULL, "
        "host TEXT NOT NULL, reference TEXT, list INTEGER, counts TEXT NOT NULL)"
    ),
)

_ROW_RULES: Final = (
    # The settings by which a loader's rows refuse and are deleted, as `name:digest`; NULL if they are not known.
    "ALTER TABLE loaders ADD COLUMN row_rules TEXT",
)

Steps = tuple[tuple[str, ...], ...]
"""Migrations; each is a sequence of statements."""

MIGRATIONS: Final[Steps] = (
    _MEMBERSHIP, _RUNS, _ERASURE, _HISTORY, _ALERTS, LOADERS, _KEY_FORMS, _CEILINGS, _EMPTY_RUNS, _FENCES, _HEALING,
    MATCHES, _HOLD_OUT, _PHONES, _LAYERS, _SEEN_KEYS, _FAILURES, _REJECTS, _ACTS,
    _ROW_RULES,
)  # fmt: skip
"""The migrations to version 1, to version 2, and so on. Released ones are never changed."""

VERSION: Final = len(MIGRATIONS)


def needs_rekeying(steps: Steps) -> bool:
    """Return whether a ledger that lacks these migrations may hold member keys of an older version."""
    return LOADERS in steps and _MEMBERSHIP not in steps


def needs_row_counts(steps: Steps) -> bool:
    """Return whether a ledger that lacks these migrations may hold rows that were never counted by list."""
    return MATCHES in steps and _MEMBERSHIP not in steps


def missing_steps(version: int, where: str) -> Steps:
    """Return the migrations that a ledger lacks.

    Args:
        version: the version of its tables; 0 for an empty database.
        where: the ledger, as the beginning of a sentence.

    Raises:
        LedgerError: a newer version of this program wrote the ledger, with tables that this one does not know.
    """
    if version > VERSION:
        msg = (
            f"{where} was written by a newer version of target-pinterest-audience (its schema is {version}, this "
            f"version knows {VERSION}). Install that version again. The ledger was not changed."
        )
        raise LedgerError(msg)
    return MIGRATIONS[version:]
