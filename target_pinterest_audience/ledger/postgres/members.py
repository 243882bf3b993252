"""The members of a PostgreSQL ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.ledger.members import Members
from target_pinterest_audience.ledger.postgres.bulk import bytea_array, integer_array
from target_pinterest_audience.membership.counts import NOBODY, Count

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.postgres.session import Session

_FUNCTION: Final = """
    CREATE FUNCTION pg_temp.insert_new_members(integer, bytea[]) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO members (list, identity, contributors, refusers)
        SELECT $1, identity, 1, 0 FROM unnest($2) AS given (identity);
        RETURN true;
    EXCEPTION WHEN unique_violation THEN
        RETURN false;
    END
    $$
"""
"""Inserts members, or nothing if one is known. Only this session has it.

If the server reported a known member as an error, it would also write the member's key to its log, and many first loads
have people in several rows. So the error is caught in the server. `ON CONFLICT` takes twice as long.
"""
_FUNCTION_STATE: Final = """
    SELECT has_database_privilege(current_database(), 'TEMPORARY') AND EXISTS (
        SELECT FROM pg_catalog.pg_language WHERE lanname = 'plpgsql' AND has_language_privilege(oid, 'USAGE')
    ), to_regprocedure('pg_temp.insert_new_members(integer, bytea[])') IS NOT NULL
"""
"""Whether the session may have the function, and whether it has it."""


class PostgresMembers(Members):
    """Reads and writes many counts in one statement; see `bulk`."""

    def __init__(self, session: Session) -> None:
        """Bind to a ledger.

        Args:
            session: its session.
        """
        super().__init__(session.query)
        self._session = session
        self._has_function: object = None
        """The connection whose session surely has the function."""
        self._created_after = -1
        """How many transactions were committed before that which created it."""

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

    def insert(self, of_lists: Mapping[int, Collection[bytes]], prepared: object = None) -> set[int]:  # noqa: ARG002 - nothing is prepared
        """See `Members.insert`."""
        if any(of_lists.values()) and not self._may_insert():
            return set()
        return {number for number, identities in of_lists.items() if self._insert(number, identities)}

    def _may_insert(self) -> bool:
        """Return whether the session has the function, and create it if need be."""
        session = self._session
        if self._has_function is session.connection:
            return True
        ((may_create, there),) = session.query(_FUNCTION_STATE)
        if there and session.commits != self._created_after:
            # It is from an earlier transaction, so it stays.
            self._has_function = session.connection
        if may_create and not there:
            # Within the transaction, with which it would go if that were rolled back.
            session.query(_FUNCTION)
            self._created_after = session.commits
        return bool(may_create or there)

    def _insert(self, list_number: int, identities: Collection[bytes]) -> bool:
        if not identities:
            return True
        keys = bytea_array(sorted(identities))
        ((inserted,),) = self._session.bulk("SELECT pg_temp.insert_new_members(%s::integer, %b)", list_number, keys)
        return bool(inserted)
