"""Who belongs on which list, by the contract alone: nothing here comes from the package that is tested.

> An identity is on the list if and only if at least one row contributes it, and no row refuses it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from tests.support.messages import is_held_out, sha256

DELETED: Final = "_sdc_deleted_at"
CONSENT: Final = "consent"
SEGMENT: Final = "segment"
"""The column that names the list of a row, in the streams whose rows do."""

TYPES: Final[Mapping[str, str]] = {
    "email": "EMAIL",
    "email_address": "EMAIL",
    "contact_email": "EMAIL",
    "idfa": "IDFA",
    "phone": "PHONE",
    "lr_id": "LR_ID",
}
ARRAYS: Final = frozenset({"contact_email"})
"""The columns that hold arrays."""
LISTS: Final[Mapping[str, str]] = {
    "EMAIL": "customers", "IDFA": "customers", "PHONE": "customers", "LR_ID": "customers - LR_ID",
}  # fmt: skip
"""The lists of the streams whose settings choose them."""
SEGMENTS: Final = ("customers", "gold")
ALL_LISTS: Final = frozenset(name + suffix for name in SEGMENTS for suffix in ("", " - LR_ID"))

YES: Final = (True, 1, "yes", "Granted")
NO: Final = (False, 0, "no", "", None, "maybe")
ANSWERS: Final[Sequence[Any]] = (*YES, *NO)


class Member(NamedTuple):
    """An identity on a list, as Pinterest gets it: a value of `records`, or `field:value` of a row of `records_v2`."""

    list_name: str
    identity: str


class HoldOut(NamedTuple):
    """The share of people who are kept off all lists, and what chooses them."""

    percent: int
    salt: str


NOBODY_HELD_OUT: Final = HoldOut(0, "x")


class Statement(NamedTuple):
    """What one row says of a member; or that it is a stranger, of whom none speaks."""

    row: object
    stance: Literal["contributes", "refuses", "forgotten", "stranger"]
    member: Member


def email(number: int) -> str:
    return f"person{number}@example.com"


def idfa(number: int) -> str:
    return f"EA7583CD-B890-48BC-8F00-{number:012d}"


def phone(number: int) -> str:
    return f"+49 30 12345-{number:03d}"


def lr_id(number: int) -> str:
    return f"XY{number}"


_MAKERS: Final = {"EMAIL": email, "IDFA": idfa, "PHONE": phone, "LR_ID": lr_id}
_BEGINNINGS: Final = {"EMAIL": "person", "IDFA": "EA", "PHONE": "+49", "LR_ID": "XY"}


def value(column: str, number: int) -> str:
    """Return the good value with a number, as a column holds it or, in an array, one of its elements."""
    return _MAKERS[TYPES[column]](number)


def member(column: str, raw: object, segment: str = "customers") -> Member | None:
    """Return what a column's value leads to, in a row of a segment; None if it is bad, empty or none."""
    kind = TYPES[column]
    if not isinstance(raw, str) or not raw.startswith(_BEGINNINGS[kind]):
        return None
    if kind == "PHONE":
        identity = f"hashed_phone_number:{sha256(''.join(each for each in raw if each.isdigit()))}"
    else:
        identity = raw if kind == "LR_ID" else sha256(raw)
    return Member(LISTS[kind].replace("customers", segment), identity)


def members(column: str, raw: object, segment: str = "customers") -> frozenset[Member]:
    """Return all that a column's value leads to; each element of an array counts."""
    values = raw if column in ARRAYS and isinstance(raw, list) else [raw]
    return frozenset(found for each in values if (found := member(column, each, segment)) is not None)


@dataclass(slots=True)
class _Row:
    contributes: dict[str, frozenset[Member]] = field(default_factory=dict)
    """By the column that it comes from."""
    refuses: dict[str, frozenset[Member]] = field(default_factory=dict)
    """By the column that it came from."""
    excludes: set[Member] = field(default_factory=set)
    forgotten: set[Member] = field(default_factory=set)
    """Who was forgotten, and whom the row may contribute again when it is read again, in vain."""
    is_held: bool = False
    """Whether what it contributes is kept off all lists instead."""


@dataclass(slots=True)
class Model:
    """What all rows of all sources say.

    Attributes:
        consents: the streams with a consent column.
        removing: the streams of `operation: remove`.
        keyless: the streams without key properties.
        routed: the streams whose rows name their lists.
        strangers: who is on a list without the ledger's doing.
        holdout: the hold-out of all streams that add people and have a key.
    """

    consents: Collection[str] = ()
    removing: Collection[str] = ()
    keyless: Collection[str] = ()
    routed: Collection[str] = ()
    strangers: set[Member] = field(default_factory=set)
    holdout: HoldOut = NOBODY_HELD_OUT
    _columns: dict[str, Sequence[str]] = field(default_factory=dict)
    _rows: dict[tuple[str, Any], _Row] = field(default_factory=dict)
    _forgotten: set[str] = field(default_factory=set)

    def set_columns(self, stream: str, columns: Sequence[str]) -> None:
        """Take in a SCHEMA."""
        self._columns[stream] = columns

    def apply(self, stream: str, record: Mapping[str, Any]) -> None:
        """Take in a RECORD."""
        columns = self._columns[stream]
        present = [column for column in columns if column in record]
        segment = record.get(SEGMENT, "missing") if stream in self.routed else "customers"
        if segment not in {None, *SEGMENTS} and record.get(DELETED) is None:
            # Too bad to be read.
            return
        named = {}
        if segment in SEGMENTS:
            named = {column: found for column in present if (found := members(column, record[column], segment))}
        if stream in self.keyless:
            for column, several in named.items():
                for one in several:
                    self._apply(stream, one, record, [column], {column: frozenset({one})})
        elif record["id"] is not None:
            self._apply(stream, record["id"], record, present, named)

    def _apply(
        self,
        stream: str,
        key: object,
        record: Mapping[str, Any],
        present: list[str],
        named: dict[str, frozenset[Member]],
    ) -> None:
        everybody = frozenset(found for several in named.values() for found in several)
        row = self._rows.setdefault((stream, key), _Row())
        deleted = record.get(DELETED) is not None
        answer = record.get(CONSENT)
        asked = stream in self.consents and (answer is not None if deleted else CONSENT in record)
        if stream in self.removing:
            row.excludes = set() if deleted else row.excludes | everybody
            self.strangers -= row.excludes
        elif asked and answer not in YES:
            self.strangers -= everybody
            for column, found in (*named.items(), *row.contributes.items()):
                row.refuses[column] = row.refuses.get(column, frozenset()) | found
            row.contributes = {}
        elif deleted:
            self.strangers -= everybody
            row.contributes = {}
        elif asked or stream not in self.consents:
            kinds, columns = {TYPES[column] for column in present}, self._columns[stream]

            def stays(column: str) -> bool:
                return column not in present and (column in columns or TYPES[column] not in kinds)

            row.refuses = {column: found for column, found in row.refuses.items() if stays(column)}
            kept = {column: found for column, found in row.contributes.items() if stays(column)}
            if stream in self.routed:
                kept = self._routed(kept, row.contributes, columns, record.get(SEGMENT))
            row.contributes = kept | named
            row.is_held = stream not in self.keyless and self._holds_out(row)

    def _holds_out(self, row: _Row) -> bool:
        """Return whether a row's first identity is of somebody who is held out."""
        order = ["EMAIL", "PHONE", "IDFA", "LR_ID"]
        named = [column for column, several in row.contributes.items() if several]
        columns = sorted(named, key=lambda column: (order.index(TYPES[column]), column))
        if not columns:
            return False
        first = min(each.identity for each in row.contributes[columns[0]])
        return is_held_out(first.rpartition(":")[2], *self.holdout)

    def _routed(
        self,
        kept: Mapping[str, frozenset[Member]],
        before: Mapping[str, frozenset[Member]],
        columns: Sequence[str],
        segment: str | None,
    ) -> dict[str, frozenset[Member]]:
        """Return what a row goes on contributing under the segment that it names, or under none."""
        if segment is None:
            return {}
        lists = {TYPES[column]: LISTS[TYPES[column]].replace("customers", segment) for column in columns}
        moves = any(
            found.list_name != lists.get(TYPES[column], found.list_name)
            for column, several in before.items()
            for found in several
        )
        routed = {}
        for column, several in kept.items():
            kind = TYPES[column]
            if kind in lists:
                routed[column] = frozenset(found._replace(list_name=lists[kind]) for found in several)
            else:
                stay = lists.values() if moves else ALL_LISTS
                routed[column] = frozenset(found for found in several if found.list_name in stay)
        return routed

    def forget(self, identity: str) -> None:
        """Refuse somebody on all lists, without a row and for good."""
        self._forgotten.add(identity)
        for row in self._rows.values():
            row.forgotten |= {
                each for several in row.contributes.values() for each in several if each.identity == identity
            }
            left = {
                column: frozenset(each for each in several if each.identity != identity)
                for column, several in row.contributes.items()
            }
            row.contributes = {column: several for column, several in left.items() if several}

    def clear(self, list_name: str) -> None:
        """Let no row contribute to a list any more."""
        for row in self._rows.values():
            row.contributes = {
                column: frozenset(each for each in several if each.list_name != list_name)
                for column, several in row.contributes.items()
            }

    def statements(self) -> frozenset[Statement]:
        """Return all that rows say, and who else is there."""
        said = frozenset(self._said())
        for identity in self._forgotten:
            said = forgotten(said, identity)
        return said

    def _said(self) -> set[Statement]:
        said = {Statement(None, "stranger", each) for each in self.strangers}
        for key, row in self._rows.items():
            stance: Literal["contributes", "refuses"] = "refuses" if row.is_held else "contributes"
            said |= {Statement(key, stance, each) for several in row.contributes.values() for each in several}
            said |= {Statement(key, "refuses", each) for several in row.refuses.values() for each in several}
            said |= {Statement(key, "refuses", each) for each in row.excludes}
            said |= {Statement(key, "forgotten", each) for each in row.forgotten}
        return said


def forgotten(statements: frozenset[Statement], identity: str) -> frozenset[Statement]:
    """Return statements together with what follows when somebody is forgotten."""
    kept = {each for each in statements if each.stance != "stranger" or each.member.identity != identity}
    return frozenset(kept | {Statement(None, "refuses", Member(name, identity)) for name in ALL_LISTS})


def members_of(statements: Iterable[Statement]) -> set[Member]:
    """Return who is on the lists, by the sentence of the contract."""
    by_stance: dict[str, set[Member]] = {"contributes": set(), "refuses": set(), "forgotten": set(), "stranger": set()}
    for each in statements:
        by_stance[each.stance].add(each.member)
    return (by_stance["contributes"] - by_stance["refuses"]) | by_stance["stranger"]


def belonging(statements: Iterable[Statement]) -> set[Member]:
    """Return who is on the lists by the doing of rows."""
    return members_of(each for each in statements if each.stance != "stranger")


def contributing(statements: Iterable[Statement], list_name: str) -> tuple[int, int]:
    """Return how many rows contribute to a list, at least and at most.

    A row that names a forgotten person contributes that person again when it is read again, in vain.
    """
    statements = list(statements)
    gone = {each.member for each in statements if each.row is None and each.stance == "refuses"}
    of_list = [each for each in statements if each.member.list_name == list_name]
    named = [each for each in of_list if each.stance == "contributes" and each.member not in gone]
    most = [each for each in of_list if each.stance in {"contributes", "forgotten"}]
    return len({each.row for each in named}), len({each.row for each in most})
