"""The small tables of a ledger: ad accounts, sources, columns, lists and runs, in SQL that every database knows."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from target_pinterest_audience.ledger.query import Query, next_number
from target_pinterest_audience.ledger.suppressions import Suppressions
from target_pinterest_audience.membership.key_forms import NEWEST_RULES

_LIST_COLUMNS: Final = ("list", "customer_list_id", "name", "members", "base_members", "derived")

OPEN: Final = "open"
CLEAN: Final = "clean"
EMPTY: Final = "empty"
"""Neither a row nor a STATE came, as from a tap that died before its first row: no success, and no failure either."""

_SECRET_BYTES: Final = 32
_PLACED: Final = b"placed"


class ListEntry(NamedTuple):
    """A customer list as the ledger knows it."""

    number: int
    customer_list_id: str | None
    """None: it was not created yet, as far as the ledger knows."""
    name: str | None
    members: int
    """How many identities belong on it."""
    base_members: int
    """How many did when the first run began since one ended cleanly."""
    derived: int
    """How many have left since then because the ledger derived it."""

    @property
    def at_stake(self) -> int:
        """What a ceiling is a share of: if nobody was there at first, what a run that was cut short has left."""
        return self.base_members or self.members


class ListStart(NamedTuple):
    """What one run found on a list when it began, and how many people it removed.

    Attributes:
        members: how many identities belonged on the list at the start.
        removal_percent: the `max_removal_percent` of the run.
        deleted_percent: its `max_deleted_percent`.
        derived: how many identities it removed because the ledger derived it.
        deleted: how many it removed because their rows were marked as deleted.
    """

    members: int
    removal_percent: int
    deleted_percent: int
    derived: int = 0
    deleted: int = 0


class SourceEntry(NamedTuple):
    """A source as the ledger knows it."""

    number: int
    name: str
    last_read: float | None
    """When a run last began to read it, in seconds since 1970; None if that is not known."""


class Feed(NamedTuple):
    """What one run read for one list from one source."""

    list_number: int
    source: int
    rows: int
    incremental: bool
    """Whether the source showed signs of an incremental read."""
    overwrites: bool
    """Whether the rows that it saw were marked, so that the others can be pruned."""
    mark: int
    """What it marked them with."""


class Loader(NamedTuple):
    """Settings that feed a list from a source."""

    source: int
    list_number: int
    configuration: str
    """The digest of the settings."""
    first_run: int
    last_run: int


class Kinship(NamedTuple):
    """What the rows of a source that other settings read have in common with those of some settings, by their keys."""

    same: int
    """How many name one of the people that they put on a list."""
    differing: int
    """How many name somebody else."""

    @property
    def is_stranger(self) -> bool:
        """Whether the rows are another table's."""
        return self.differing > self.same


class StreamSlot(NamedTuple):
    """An identity column that a stream of a source has, or had."""

    stream: str
    slot: int
    mark: int
    """What the run marked rows with that had it last."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run, as the ledger remembers it."""

    number: int
    started: float
    ended: float | None
    outcome: str
    pruned: bool
    settings: Mapping[str, str]
    """Setting → the digest of its value."""


def secret_of(query: Query) -> bytes:
    """Return what a ledger's keyed digests are made with; it is made with the ledger.

    Args:
        query: runs statements; called within a transaction.
    """
    found = query("SELECT value FROM meta WHERE name = 'secret'")
    if found:
        return bytes(found[0][0])
    secret = secrets.token_bytes(_SECRET_BYTES)
    query("INSERT INTO meta (name, value) VALUES ('secret', ?)", secret)
    query("INSERT INTO meta (name, value) VALUES ('rows', ?)", _PLACED)
    return secret


def places_rows(query: Query) -> bool:
    """Tell whether a ledger has rows with neighbouring keys side by side: one that began without has them scattered."""
    return [bytes(value) for (value,) in query("SELECT value FROM meta WHERE name = 'rows'")] == [_PLACED]


class Catalogue:
    """The small tables, for one ad account of one API."""

    def __init__(self, query: Query, api_url: str, ad_account_id: str) -> None:
        """Find the ad account, or enter it.

        Args:
            query: runs statements; called within a transaction here, and whenever a method writes.
            api_url: the API, so that an emulator's lists never pass for Pinterest's.
            ad_account_id: the ad account.
        """
        self._query = query
        self.realm = self._number("realms", "realm", {"api_url": api_url, "ad_account_id": ad_account_id})
        self.suppressions = Suppressions(query, self.realm)

    def _number(self, table: str, column: str, key: Mapping[str, Any]) -> int:
        """Return the number of a row, which is made if it is not there."""
        where = " AND ".join(f"{name} = ?" for name in key)
        found = self._query(f"SELECT {column} FROM {table} WHERE {where}", *key.values())  # noqa: S608 - our own names
        if found:
            return int(found[0][0])
        (top,) = self._query(f"SELECT COALESCE(MAX({column}), 0) FROM {table}")[0]  # noqa: S608 - likewise
        names, marks = ", ".join([column, *key]), ", ".join("?" for _ in range(len(key) + 1))
        self._query(f"INSERT INTO {table} ({names}) VALUES ({marks})", top + 1, *key.values())  # noqa: S608 - likewise
        return int(top) + 1

    # Sources and columns

    def source(self, name: str) -> int:
        """Return the number of a source, which is made if it is new."""
        known = self.find_source(name)
        if known is not None:
            return known
        number = self._number("sources", "source", {"realm": self.realm, "name": name})
        self._query("UPDATE sources SET key_rules = ? WHERE source = ?", NEWEST_RULES, number)
        return number

    def find_source(self, name: str) -> int | None:
        """Return the number of a source; None if it is new."""
        found = self._query("SELECT source FROM sources WHERE realm = ? AND name = ?", self.realm, name)
        return int(found[0][0]) if found else None

    def source_name(self, source: int) -> str:
        """Return the name of a source."""
        return str(self._query("SELECT name FROM sources WHERE source = ?", source)[0][0])

    def key_properties(self, source: int) -> list[str] | None:
        """Return the key that a source's rows are known by; None if it has not been said."""
        (encoded,) = self._query("SELECT key_properties FROM sources WHERE source = ?", source)[0]
        return None if encoded is None else msgspec.json.decode(encoded, type=list[str])

    def set_key_properties(self, source: int, names: Iterable[str]) -> None:
        """Note the key that a source's rows are known by."""
        encoded = msgspec.json.encode(sorted(names)).decode()
        self._query("UPDATE sources SET key_properties = ? WHERE source = ?", encoded, source)

    def key_rules(self, source: int) -> int:
        """Return the rules by which a source's keys have one form; see `key_forms.NEWEST_RULES`."""
        return int(self._query("SELECT key_rules FROM sources WHERE source = ?", source)[0][0])

    def key_kinds(self, source: int) -> dict[str, frozenset[str]]:
        """Return key property → the kinds of values that it came as, as far as that is known; see `key_kinds`."""
        (encoded,) = self._query("SELECT key_kinds FROM sources WHERE source = ?", source)[0]
        return {} if encoded is None else msgspec.json.decode(encoded, type=dict[str, frozenset[str]])

    def add_key_kinds(self, source: int, kinds: Mapping[str, Iterable[str]]) -> None:
        """Note further kinds of values that the key properties of a source came as."""
        known = self.key_kinds(source)
        merged = {name: sorted({*known.get(name, ()), *kinds.get(name, ())}) for name in {**known, **kinds}}
        encoded = msgspec.json.encode(merged, order="sorted").decode()
        self._query("UPDATE sources SET key_kinds = ? WHERE source = ?", encoded, source)

    def note_read(self, source: int, now: float) -> None:
        """Note that a run reads a source.

        Args:
            source: the source.
            now: seconds since 1970.
        """
        self._query("UPDATE sources SET last_read = ? WHERE source = ?", now, source)

    def sources(self) -> list[SourceEntry]:
        """Return all sources of the ad account."""
        found = self._query("SELECT source, name, last_read FROM sources WHERE realm = ? ORDER BY source", self.realm)
        return [SourceEntry(*row) for row in found]

    def next_mark(self, source: int) -> int:
        """Return what a run that has the lock of a source marks its rows with: more than any run before."""
        self._query("UPDATE sources SET mark = mark + 1 WHERE source = ?", source)
        return int(self._query("SELECT mark FROM sources WHERE source = ?", source)[0][0])

    def stream_slots(self, source: int, reader: int) -> list[StreamSlot]:
        """Return the identity columns by which the streams of a source feed, or fed, a reader's lists."""
        found = self._query(
            "SELECT stream, slot, mark FROM stream_slots WHERE source = ? AND reader = ?", source, reader
        )
        return [StreamSlot(*row) for row in found]

    def note_stream_slot(self, source: int, reader: int, slot: StreamSlot) -> None:
        """Note an identity column by which a stream of a source feeds, or fed, a reader's lists."""
        self._query(
            "INSERT INTO stream_slots (source, reader, stream, slot, mark) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (source, reader, stream, slot) DO UPDATE SET mark = excluded.mark",
            source, reader, *slot,
        )  # fmt: skip

    def forget_stream_slot(self, source: int, reader: int, slot: StreamSlot) -> None:
        """Forget that a stream of a source fed a reader's lists by an identity column."""
        self._query(
            "DELETE FROM stream_slots WHERE source = ? AND reader = ? AND stream = ? AND slot = ?",
            source, reader, slot.stream, slot.slot,
        )  # fmt: skip

    def slot(self, column: str, identity_type: str) -> int:
        """Return the number of a column that holds a type of identity."""
        return self._number("slots", "slot", {"column_name": column, "identity_type": identity_type})

    def slots(self) -> dict[int, tuple[str, str]]:
        """Return the column and the type of every slot."""
        found = self._query("SELECT slot, column_name, identity_type FROM slots")
        return {slot: (column, kind) for slot, column, kind in found}

    # Lists

    def pinned(self, reference: str) -> ListEntry | None:
        """Return the list that a way of choosing one led to before, such as a name."""
        return self._one("JOIN pins USING (list) WHERE pins.realm = ? AND pins.reference = ?", self.realm, reference)

    def list_of_id(self, customer_list_id: str) -> ListEntry | None:
        """Return the list with an id."""
        return self._one("WHERE lists.realm = ? AND customer_list_id = ?", self.realm, customer_list_id)

    def entry(self, number: int) -> ListEntry:
        """Return a list that the ledger knows."""
        found = self._one("WHERE list = ?", number)
        assert found is not None  # noqa: S101 - numbers come from this ledger
        return found

    def lists(self) -> list[ListEntry]:
        """Return all lists of the ad account."""
        return self._lists("WHERE realm = ? ORDER BY list", self.realm)

    def lists_of_source(self, source: int) -> list[ListEntry]:
        """Return the lists that a source has ever fed."""
        return self._lists("JOIN feeds USING (list) WHERE source = ?", source)

    def sources_of_list(self, number: int) -> list[str]:
        """Return the names of the sources that have ever fed a list."""
        found = self._query("SELECT name FROM sources JOIN feeds USING (source) WHERE list = ? ORDER BY name", number)
        return [str(name) for (name,) in found]

    def numbers_of_sources(self, number: int) -> list[int]:
        """Return the sources that have ever fed a list."""
        return [source for (source,) in self._query("SELECT source FROM feeds WHERE list = ? ORDER BY source", number)]

    def _one(self, condition: str, *parameters: object) -> ListEntry | None:
        return next(iter(self._lists(condition, *parameters)), None)

    def _lists(self, condition: str, *parameters: object) -> list[ListEntry]:
        columns = ", ".join(f"lists.{name}" for name in _LIST_COLUMNS)
        return [ListEntry(*row) for row in self._query(f"SELECT {columns} FROM lists {condition}", *parameters)]  # noqa: S608 - our own words

    def add_list(self, customer_list_id: str | None, name: str | None) -> ListEntry:
        """Enter a list."""
        (top,) = self._query("SELECT COALESCE(MAX(list), 0) FROM lists")[0]
        self._query(
            "INSERT INTO lists (list, realm, customer_list_id, name, members, base_members, derived, closed) "
            "VALUES (?, ?, ?, ?, 0, 0, 0, 1)",
            top + 1, self.realm, customer_list_id, name,
        )  # fmt: skip
        self.suppressions.apply_to(top + 1)
        return ListEntry(top + 1, customer_list_id, name, 0, 0, 0)

    def set_list_id(self, number: int, customer_list_id: str) -> None:
        """Note the id of a list that was created, or found after all."""
        self._query("UPDATE lists SET customer_list_id = ? WHERE list = ?", customer_list_id, number)

    def change_members(self, number: int, difference: int) -> None:
        """Change how many identities belong on a list."""
        self._query("UPDATE lists SET members = members + ? WHERE list = ?", difference, number)

    def begin_list(self, number: int, members: int | None = None) -> None:
        """Count removals from a list anew, unless the run before did not end cleanly: its removals still count.

        Args:
            number: the list.
            members: how many identities belonged on it at the start; None: as many as belong on it now.
        """
        self._query(
            "UPDATE lists SET base_members = COALESCE(?, members), derived = 0, closed = 0 "
            "WHERE list = ? AND closed = 1",
            members, number,
        )  # fmt: skip

    def count_anew(self, number: int, members: int) -> None:
        """Count the removals from a list anew within a run, from as many members as it has by then."""
        self._query("UPDATE lists SET base_members = ?, derived = 0 WHERE list = ?", members, number)

    def restart_list(self, number: int) -> None:
        """Count removals from a list anew in the next run, however the run before ended: who was there is not known."""
        self._query("UPDATE lists SET base_members = members, derived = 0, closed = 1 WHERE list = ?", number)
        self._query("DELETE FROM list_starts WHERE list = ?", number)

    def add_start(self, number: int, start: ListStart, now: float, since: float) -> None:
        """Note what a run finds on a list, and delete the starts that do not matter any more.

        Args:
            number: the list.
            start: what it finds; it has not removed anybody yet.
            now: Unix time.
            since: starts whose last removal is older than this are deleted, as Unix time.
        """
        # After a clock that was fast has been set right, such a start counts as one of now.
        self._query("UPDATE list_starts SET moment = ? WHERE list = ? AND moment > ?", now, number, now)
        # A start without removals adds nothing to a newer one that had as many members.
        self._query(
            "DELETE FROM list_starts WHERE list = ? AND (moment < ? OR (derived = 0 AND deleted = 0 AND members <= ?))",
            number, since, start.members,
        )  # fmt: skip
        ((top,),) = self._query("SELECT COALESCE(MAX(start), 0) FROM list_starts WHERE list = ?", number)
        self._query(
            "INSERT INTO list_starts (list, start, moment, members, removal_percent, deleted_percent, derived, "
            "deleted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            number, top + 1, now, *start,
        )  # fmt: skip

    def starts(self, number: int) -> list[ListStart]:
        """Return the starts on a list that `add_start` has kept, the oldest first."""
        found = self._query(
            "SELECT members, removal_percent, deleted_percent, derived, deleted FROM list_starts WHERE list = ? "
            "ORDER BY start",
            number,
        )  # fmt: skip
        return [ListStart(*row) for row in found]

    def add_removals(self, number: int, derived: int, deleted: int, now: float) -> None:
        """Count removals from a list, also for the start that was noted last.

        Args:
            number: the list.
            derived: how many the ledger derived.
            deleted: how many follow from rows that were marked as deleted.
            now: Unix time.
        """
        self._query("UPDATE lists SET derived = derived + ? WHERE list = ?", derived, number)
        self._query(
            "UPDATE list_starts SET derived = derived + ?, deleted = deleted + ?, moment = ? WHERE list = ? "
            "AND start = (SELECT MAX(start) FROM list_starts WHERE list = ?)",
            derived, deleted, now, number, number,
        )  # fmt: skip

    def pin(self, reference: str, number: int) -> None:
        """Note which list a way of choosing one leads to."""
        self._query(
            "INSERT INTO pins (realm, reference, list) VALUES (?, ?, ?) "
            "ON CONFLICT (realm, reference) DO UPDATE SET list = excluded.list",
            self.realm, reference, number,
        )  # fmt: skip

    def feed(self, source: int, number: int, reader: int = 0) -> None:
        """Note that a source feeds a list, and who marks the rows that are read for it, unless that is known."""
        self._query(
            "INSERT INTO feeds (source, list, reader) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", source, number, reader
        )

    def readers_of_lists(self, source: int) -> dict[int, int]:
        """Return each list that a source has ever fed, and who marks the rows that are read for it."""
        return dict(self._query("SELECT list, reader FROM feeds WHERE source = ?", source))

    def readers(self, source: int) -> list[int]:
        """Return the readers that mark a source's rows in a table of their own."""
        found = self._query("SELECT DISTINCT reader FROM feeds WHERE source = ? AND reader > 0", source)
        return [int(reader) for (reader,) in found]

    def new_reader(self) -> int:
        """Return the number of a reader that no source has."""
        return int(self._query("SELECT COALESCE(MAX(reader), 0) + 1 FROM feeds")[0][0])

    # Loaders: settings that feed a list from a source

    def loaders(self) -> list[Loader]:
        """Return all settings that have ever fed a list of the ad account from a source."""
        found = self._query(
            "SELECT source, list, configuration, first_run, last_run FROM loaders JOIN lists USING (list) "
            "WHERE realm = ? ORDER BY source, list",
            self.realm,
        )
        return [Loader(*row) for row in found]

    def note_loader(self, source: int, number: int, configuration: str, run: int) -> None:
        """Note that settings feed a list from a source in a run."""
        self._query(
            "INSERT INTO loaders (source, list, configuration, first_run, last_run) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (source, list, configuration) DO UPDATE SET last_run = excluded.last_run",
            source, number, configuration, run, run,
        )  # fmt: skip

    def kinship(self, source: int, number: int, configuration: str) -> Kinship:
        """Return how much the rows behind a list have in common with those that other settings read."""
        found = self._query(
            "SELECT same, differing FROM kinships WHERE source = ? AND list = ? AND configuration = ?",
            source, number, configuration,
        )  # fmt: skip
        return Kinship(*found[0]) if found else Kinship(0, 0)

    def set_kinship(self, source: int, number: int, configuration: str, kinship: Kinship) -> None:
        """Note how much the rows behind a list have in common with those that other settings read."""
        self._query(
            "INSERT INTO kinships (source, list, configuration, same, differing) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (source, list, configuration) DO UPDATE SET same = excluded.same, "
            "differing = excluded.differing",
            source, number, configuration, *kinship,
        )  # fmt: skip

    # Refusals and algorithms

    def algorithm_of(self, number: int) -> tuple[str | None, bool]:
        """Return the algorithm of the run that fed a list last, None if that is not known.

        And whether somebody refuses to be on it of whom one digest is known only, so that another algorithm would let
        them back.
        """
        ((algorithm, partial),) = self._query(
            "SELECT hash_algorithm, partial_refusals FROM lists WHERE list = ?", number
        )
        return algorithm, bool(partial)

    def set_algorithm(self, number: int, algorithm: str) -> None:
        """Note the algorithm of a run that feeds a list."""
        self._query("UPDATE lists SET hash_algorithm = ? WHERE list = ?", algorithm, number)

    def note_partial_refusal(self, number: int) -> None:
        """Note that one digest only is known of somebody who refuses to be on a list."""
        self._query("UPDATE lists SET partial_refusals = 1 WHERE list = ?", number)

    # Runs

    def begin_run(self, configuration: str, settings: Mapping[str, str], started: float) -> int:
        """Enter a run that has begun, and return its number."""
        number = next_number(self._query)
        self._query(
            "INSERT INTO runs (run, realm, configuration, started, outcome, pruned, settings) "
            "VALUES (?, ?, ?, ?, ?, 0, ?)",
            number, self.realm, configuration, started, OPEN, msgspec.json.encode(settings).decode(),
        )  # fmt: skip
        return number

    def end_run(self, run: int, outcome: str, ended: float, feeds: Iterable[Feed], lists: Iterable[int] = ()) -> None:
        """Note how a run ended, and what it read.

        Args:
            run: its number.
            outcome: how it ended.
            ended: when, in seconds since 1970.
            feeds: what it read.
            lists: the lists whose removals the next run counts anew.
        """
        self._query("UPDATE runs SET outcome = ?, ended = ? WHERE run = ?", outcome, ended, run)
        for feed in feeds:
            self._query(
                "INSERT INTO run_feeds (run, list, source, row_count, incremental, overwrites, mark) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                run, feed.list_number, feed.source, feed.rows, int(feed.incremental), int(feed.overwrites), feed.mark,
            )  # fmt: skip

        for number in lists:
            self._query("UPDATE lists SET closed = 1 WHERE list = ?", number)

    def newest_run(
        self, configuration: str, before: int | None = None, *, clean: bool = False, ended_by: float | None = None
    ) -> RunRecord | None:
        """Return the newest run of a configuration.

        Args:
            configuration: the digest of its settings.
            before: only runs before this one; None: all.
            clean: whether only those count that ended cleanly.
            ended_by: only those that ended until then, as Unix time; None: all.
        """
        latest = float("inf") if ended_by is None else ended_by
        found = self._query(
            "SELECT run, started, ended, outcome, pruned, settings FROM runs WHERE realm = ? AND configuration = ? "
            "AND (? = 0 OR run < ?) AND (? = 0 OR outcome = ?) AND COALESCE(ended, 0) <= ? ORDER BY run DESC LIMIT 1",
            self.realm, configuration, before or 0, before or 0, int(clean), CLEAN, latest,
        )  # fmt: skip
        return next(map(_run_record, found), None)

    def newest_runs(self, limit: int) -> list[RunRecord]:
        """Return the newest runs of all configurations, the newest first."""
        found = self._query(
            "SELECT run, started, ended, outcome, pruned, settings FROM runs WHERE realm = ? ORDER BY run DESC LIMIT ?",
            self.realm, limit,
        )  # fmt: skip
        return list(map(_run_record, found))

    def feeds_of_run(self, run: int) -> list[Feed]:
        """Return what a run read."""
        found = self._query(
            "SELECT list, source, row_count, incremental, overwrites, mark FROM run_feeds WHERE run = ?", run
        )
        return [
            Feed(number, source, rows, bool(incremental), bool(overwrites), mark)
            for number, source, rows, incremental, overwrites, mark in found
        ]

    def clean_overwrites(
        self, up_to: int, list_number: int, source: int, limit: int, *, incremental: bool = False
    ) -> list[int]:
        """Return the marks of runs of one configuration that ended cleanly and read a source for a list, newest first.

        Args:
            up_to: the newest run that counts; its configuration is the one.
            list_number: the list.
            source: the source.
            limit: how many runs at most.
            incremental: whether those count, too, that showed signs of an incremental read.
        """
        found = self._query(
            "SELECT mark FROM run_feeds JOIN runs USING (run) WHERE list = ? AND source = ? AND outcome = ? "
            "AND overwrites = 1 AND row_count > 0 AND incremental <= ? AND run <= ? AND configuration = "
            "(SELECT configuration FROM runs WHERE run = ?) ORDER BY run DESC LIMIT ?",
            list_number, source, CLEAN, int(incremental), up_to, up_to, limit,
        )  # fmt: skip
        return [int(mark) for (mark,) in found]

    def forget_runs(self, before: float) -> int:
        """Forget runs, but for the newest of each configuration and the newest of those that ended cleanly.

        Args:
            before: those go that began before this moment, in seconds since 1970.

        Returns:
            How many are forgotten.
        """
        found = self._query(
            "SELECT run FROM runs WHERE realm = ? AND started < ? AND run NOT IN "
            "(SELECT MAX(run) FROM runs GROUP BY realm, configuration, outcome)",
            self.realm, before,
        )  # fmt: skip
        for (run,) in found:
            self._query("DELETE FROM run_feeds WHERE run = ?", run)
            self._query("DELETE FROM runs WHERE run = ?", run)
        return len(found)

    def correct_times(self, now: float) -> None:
        """Let what a clock noted that was fast count as of now, so that it grows old like the rest.

        Args:
            now: Unix time.
        """
        self._query("UPDATE sources SET last_read = ? WHERE realm = ? AND last_read > ?", now, self.realm, now)
        self._query("UPDATE runs SET started = ? WHERE realm = ? AND started > ?", now, self.realm, now)

    def mark_pruned(self, run: int) -> None:
        """Note that a run was pruned after, which happens once."""
        self._query("UPDATE runs SET pruned = 1 WHERE run = ?", run)


def _run_record(row: tuple[Any, ...]) -> RunRecord:
    number, started, ended, outcome, pruned, settings = row
    decoded = msgspec.json.decode(settings, type=dict[str, str])
    return RunRecord(number, started, ended, outcome, bool(pruned), decoded)
