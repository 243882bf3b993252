"""The members of a SQLite ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from target_pinterest_audience.ledger.members import Members
from target_pinterest_audience.ledger.sqlite.bulk import groups
from target_pinterest_audience.membership.counts import NOBODY, Count

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.sqlite.bulk import Group
    from target_pinterest_audience.ledger.sqlite.connection import Connection
    from target_pinterest_audience.ledger.sqlite.keys.known_keys import KnownKeys, Suspects

_LIST_DIGITS: Final = 19
"""How many digits the number of a list may have."""
_IN_A_PART: Final = 2_000
"""How many identities are enough for one statement."""


class _Part(NamedTuple):
    """Members that one statement inserts.

    Attributes:
        lists: their lists.
        groups: their identities; if there are several lists, each with its list before it.
    """

    lists: Collection[int]
    groups: list[Group]


class _Prepared(NamedTuple):
    """New members, ready to be inserted.

    Attributes:
        suspects: list → the identities that a layer may have; None if no filter was asked.
        parts: the members, in parts.
    """

    suspects: Mapping[int, Suspects | None]
    parts: list[_Part]


class SqliteMembers(Members):
    """Reads and writes counts in groups; see `bulk`."""

    def __init__(self, connection: Connection, known: KnownKeys) -> None:
        """Bind to a ledger.

        Args:
            connection: its connection.
            known: the keys of its members.
        """
        super().__init__(connection.query)
        self._connection = connection
        self._known = known
        self._layers = known.layers

    def read(self, list_number: int, identities: Collection[bytes]) -> dict[bytes, Count]:
        """See `Members.read`."""
        with self._connection.snapshot():
            found = self._known.find("contributors || ' ' || refusers", list(identities), list_number, fill=True)
        return {identity: Count(*map(int, counts.split())) for identity, counts in found.items()}

    def write(self, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """See `Members.write`."""
        for name, some in self._known.divide(list(counts), list_number).items():
            self._write(name, list_number, {identity: counts[identity] for identity in some})
        self._known.forget_tables()

    def _write(self, name: str, list_number: int, counts: Mapping[bytes, Count]) -> None:
        """Write counts to the table that has these identities, or in which new ones are put."""
        counted: dict[Count, list[bytes]] = defaultdict(list)
        for identity, count in counts.items():
            counted[count].append(identity)
        for group in groups(counted.pop(NOBODY, [])):
            self._connection.run(
                f"DELETE FROM {name} WHERE list = :list AND identity IN (SELECT {{key}} FROM places)",
                group, list=list_number,
            )  # fmt: skip
        for count, identities in counted.items():
            for group in groups(identities):
                self._connection.run(
                    f"INSERT INTO {name} (list, identity, contributors, refusers) "
                    "SELECT :list, {key}, :contributors, :refusers FROM places WHERE TRUE "
                    "ON CONFLICT (list, identity) DO UPDATE SET contributors = excluded.contributors, "
                    "refusers = excluded.refusers",
                    group, list=list_number, **count._asdict(),
                )  # fmt: skip

    def prepare(self, of_lists: Mapping[int, Collection[bytes]]) -> object:
        """See `Members.prepare`."""
        suspects = {number: self._known.suspects(list(identities), number) for number, identities in of_lists.items()}
        return _Prepared(suspects, [_Part(some.keys(), _groups(some)) for some in _in_parts(of_lists)])

    def insert(self, of_lists: Mapping[int, Collection[bytes]], prepared: object = None) -> set[int]:
        """See `Members.insert`. A statement for each list would take most of the time if there are thousands."""
        self._known.forget_tables()
        suspects, parts = prepared if isinstance(prepared, _Prepared) else _Prepared({}, [])
        # Asked once: that is a statement, and there may be thousands of lists.
        may_be_in_layers = self._layers.exist
        new = {
            number: identities
            for number, identities in of_lists.items()
            if not may_be_in_layers or self._known.may_insert(list(identities), number, suspects.get(number))
        }
        if len(new) < len(of_lists) or not parts:
            parts = [_Part(some.keys(), _groups(some)) for some in _in_parts(new)]
        return {number for part in parts if self._insert_part(part) for number in part.lists}

    def _insert_part(self, part: _Part) -> bool:
        if len(part.lists) == 1:
            (number,) = part.lists
            return self._connection.insert_new(
                part.groups,
                "members (list, identity, contributors, refusers) SELECT :list, {key}, 1, 0 FROM places",
                "members WHERE list = :list AND identity IN (SELECT {key} FROM places)",
                list=number,
            )
        of_key = f"CAST(substr({{key}}, 1, {_LIST_DIGITS}) AS INTEGER), substr({{key}}, {_LIST_DIGITS + 1})"
        return self._connection.insert_new(
            part.groups,
            f"members (list, identity, contributors, refusers) SELECT {of_key}, 1, 0 FROM places",
            f"members WHERE (list, identity) IN (SELECT {of_key} FROM places)",
        )

    def refuse_suppressed(self, realm: int, list_number: int) -> None:
        """See `Members.refuse_suppressed`."""
        super().refuse_suppressed(realm, list_number)
        self._known.drop_filter()

    def add_refusal(self, realm: int, identity: bytes) -> None:
        """See `Members.add_refusal`."""
        super().add_refusal(realm, identity)
        self._known.drop_filter()

    def lift_refusal(self, realm: int, identity: bytes) -> list[int]:
        """See `Members.lift_refusal`."""
        self._known.forget_tables()
        return super().lift_refusal(realm, identity)

    def _tables(self) -> Sequence[str]:
        """See `Members._tables`."""
        return self._layers.names()


def _groups(of_lists: Mapping[int, Collection[bytes]]) -> list[Group]:
    """Return the groups of a part."""
    if len(of_lists) == 1:
        (identities,) = of_lists.values()
        return list(groups(list(identities)))
    # The list stands before each identity, so that the rows of a list lie side by side.
    return list(
        groups(
            [
                each
                for number, identities in of_lists.items()
                for each in map((b"%0*d" % (_LIST_DIGITS, number)).__add__, identities)
            ]
        )
    )


def _in_parts(of_lists: Mapping[int, Collection[bytes]]) -> Iterator[dict[int, Collection[bytes]]]:
    """Divide lists into parts: a known identity costs the lists of its part a second attempt, but no others."""
    part: dict[int, Collection[bytes]] = {}
    size = 0
    for number, identities in of_lists.items():
        part[number] = identities
        size += len(identities)
        if size >= _IN_A_PART:
            yield part
            part, size = {}, 0
    if part:
        yield part
