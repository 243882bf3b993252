"""The audit trail: who ran the commands that change who is on lists, when, where, and for which request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from target_pinterest_audience.ledger.query import AccountTables


class Act(NamedTuple):
    """A command that a person or a service account ran.

    Attributes:
        command: its name, such as `forget`.
        started: when it began to act; Unix time in seconds.
        ended: when it ended, as Unix time in seconds; None if it still acts, or was killed.
        exit_code: its exit code; None if it has not ended.
        user: who ran it.
        host: the machine on which it ran.
        reference: the number of the request; None if none was given.
        list_number: the list that it was about; None if it was about several, or about all.
        counts: what it counted, such as `removed`. It contains no identities.
    """

    command: str
    started: float
    ended: float | None
    exit_code: int | None
    user: str
    host: str
    reference: str | None
    list_number: int | None
    counts: Mapping[str, int]


class Audit(AccountTables):
    """The audit trail of one ad account. No command deletes from it."""

    def begin(self, act: Act) -> int:
        """Record a command before it acts, and return the number of the record."""
        ((number,),) = self._query("SELECT COALESCE(MAX(act), 0) + 1 FROM acts")
        self._query(
            "INSERT INTO acts (act, realm, command, started, ended, exit_code, user_name, host, reference, list, "
            "counts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            number, self._realm, *act[:-1], msgspec.json.encode(act.counts).decode(),
        )  # fmt: skip
        return int(number)

    def end(self, number: int, ended: float, exit_code: int, counts: Mapping[str, int]) -> None:
        """Record how a command ended.

        Args:
            number: what `begin` returned.
            ended: when; Unix time in seconds.
            exit_code: its exit code.
            counts: see `Act`.
        """
        self._query(
            "UPDATE acts SET ended = ?, exit_code = ?, counts = ? WHERE act = ?",
            ended, exit_code, msgspec.json.encode(counts).decode(), number,
        )  # fmt: skip

    def acts(self, limit: int) -> list[Act]:
        """Return the newest records, newest first."""
        found = self._query(
            "SELECT command, started, ended, exit_code, user_name, host, reference, list, counts FROM acts "
            "WHERE realm = ? ORDER BY act DESC LIMIT ?",
            self._realm, limit,
        )  # fmt: skip
        return [Act._make([*row, msgspec.json.decode(counts, type=dict[str, int])]) for *row, counts in found]
