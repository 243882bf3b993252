"""The members of a SQLite ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.members import Members
from target_pinterest_audience.ledger.sqlite.bulk import groups
from target_pinterest_audience.membership.counts import NOBODY, Count

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.connection import Connection


class SqliteMembers(Members):
    """Reads and writes counts in groups; see `bulk`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a ledger.

        Args:
            connection: its connection.
        """
        self._connection = connection

    def read(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """See `Members.read`."""
        value, source = "contributors || ' ' || refusers", "places JOIN members ON list = :list AND identity = {key}"
        return {
            group.keys[place]: Count(*map(int, counts.split()))
            for group in groups(list(identities), in_order=False)
            for place, counts in self._connection.find(value, source, group, list=list_number)
        }

    def write(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """See `Members.write`."""
        counted: dict[Count, list[bytes]] = defaultdict(list)
        for identity, count in counts.items():
            counted[count].append(identity)
        for group in groups(counted.pop(NOBODY, [])):
            self._connection.run(
                "DELETE FROM members WHERE list = :list AND identity IN (SELECT {key} FROM places)",
                group, list=list_number,
            )  # fmt: skip
        for count, identities in counted.items():
            for group in groups(identities):
                self._connection.run(
                    "INSERT INTO members (list, identity, contributors, refusers) "
                    "SELECT :list, {key}, :contributors, :refusers FROM places WHERE TRUE "
                    "ON CONFLICT (list, identity) DO UPDATE SET contributors = excluded.contributors, "
                    "refusers = excluded.refusers",
                    group, list=list_number, **count._asdict(),
                )  # fmt: skip

    def insert(self, list_number: int, identities: Collection[bytes]) -> bool:
        """See `Members.insert`."""
        return self._connection.insert_new(
            groups(list(identities)),
            "members (list, identity, contributors, refusers) SELECT :list, {key}, 1, 0 FROM places",
            "members WHERE list = :list AND identity IN (SELECT {key} FROM places)",
            list=list_number,
        )
