"""The members of a PostgreSQL ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from target_pinterest_audience.ledger.members import Members
from target_pinterest_audience.ledger.postgres.bulk import bytea_array, copied, integer_array, integers
from target_pinterest_audience.membership.counts import NOBODY, Count

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.session import Session


class PostgresMembers(Members):
    """Reads and writes many counts in one statement; see `bulk`."""

    def __init__(self, session: Session) -> None:
        """Bind to a ledger.

        Args:
            session: its session.
        """
        super().__init__(session.query)
        self._session = session

    def read(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """See `Members.read`."""
        found = self._session.bulk(
            "SELECT identity, contributors, refusers FROM members WHERE list = %s AND identity = ANY(%b)",
            list_number, bytea_array(sorted(identities)),
        )  # fmt: skip
        return {identity: Count(contributors, refusers) for identity, contributors, refusers in found}

    def write(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """See `Members.write`."""
        counted = sorted((identity, *count) for identity, count in counts.items() if count != NOBODY)
        identities, contributors, refusers = [*zip(*counted, strict=True)] or ((), (), ())
        self._session.bulk(
            "INSERT INTO members (list, identity, contributors, refusers) "
            "SELECT %s, given.* FROM unnest(%b, %b, %b) AS given "
            "ON CONFLICT (list, identity) "
            "DO UPDATE SET contributors = excluded.contributors, refusers = excluded.refusers",
            list_number, bytea_array(identities), integer_array(contributors), integer_array(refusers),
        )  # fmt: skip
        nobodies = bytea_array(sorted(identity for identity, count in counts.items() if count == NOBODY))
        self._session.bulk("DELETE FROM members WHERE list = %s AND identity = ANY(%b)", list_number, nobodies)

    def insert(self, list_number: int, identities: Collection[bytes]) -> bool:
        """See `Members.insert`."""
        return self._session.insert_new(
            "members (list, identity, contributors, refusers)",
            copied(integers(list_number), (sorted(identities),), integers(1, 0), count=4),
        )
