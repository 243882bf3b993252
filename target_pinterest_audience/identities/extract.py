"""From a record to the identities that it names. Values go no further than this: what comes out is what is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import UnsetType

from target_pinterest_audience.errors import MissingKeyError
from target_pinterest_audience.identities.column import identify_column
from target_pinterest_audience.identities.list_names import list_name
from target_pinterest_audience.identities.marks import is_granted, is_set, places_where
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.identities.types import (
    HashAlgorithm,
    Hashing,
    Identified,
    IdentityType,
    Remark,
    identify,
)
from target_pinterest_audience.records.arrow_column import FileColumn
from target_pinterest_audience.records.position import Place

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock

_MISSING: Final[frozenset[type]] = frozenset({UnsetType})
_GONE: Final[frozenset[type]] = frozenset({UnsetType, type(None)})


def _places(values: Sequence[Any], types: frozenset[type]) -> list[int]:
    """Return where values of some types are, of which a column of a file can hold only None."""
    if isinstance(values, FileColumn) and None not in values:
        return []
    # Neither kind of gap is true, and to see whether all are takes a third of the time.
    if all(values) or types.isdisjoint(map(type, values)):
        return []
    return [place for place, value in enumerate(values) if type(value) in types]


class Rejected(Protocol):
    """Told of every value that is rejected."""

    def __call__(self, column: str, reason: Remark, place: Place, record: Mapping[str, Any]) -> None:
        """Take note of the column, why, where, and the record, for its key."""
        ...


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads the rows of one stream.

    Attributes:
        columns: the identity columns and their types.
        key_properties: the columns that tell rows apart.
        removal_columns: each is set in rows that the source has deleted.
        consent_words: the texts in a consent column that mean yes.
        hashing: whether plain values are hashed or refused.
        algorithm: the digest for values that are hashed here.
        tally: counts what is read.
        rejected: told of every rejected value, and of its record.
    """

    columns: Mapping[str, IdentityType]
    key_properties: Sequence[str]
    removal_columns: Sequence[str]
    consent_words: Collection[str]
    hashing: Hashing
    algorithm: HashAlgorithm
    tally: StreamTally
    rejected: Rejected | None = None

    def is_deleted(self, record: Mapping[str, Any]) -> bool:
        """Return whether the source has deleted a row."""
        return any(is_set(record.get(name)) for name in self.removal_columns)

    def is_granted(self, value: object) -> bool:
        """Return whether the value of a consent column is a yes."""
        return is_granted(value, self.consent_words)

    def odd_rows(self, block: RecordBlock, consent_column: str | None, list_name_column: str | None) -> list[int]:
        """Return the places of the rows that have to be read one by one, in order.

        The others have their whole key and all identity columns, are not deleted, and consent and name their list if
        they are asked.
        """
        odd: set[int] = set()
        for name in self.key_properties:
            odd.update(_places(block.column(name), _GONE))
        for name in self.columns:
            odd.update(_places(block.column(name), _MISSING))
        for name in self.removal_columns:
            odd.update(places_where(is_set, block.column(name)))
        if consent_column is not None:
            odd.update(places_where(lambda value: not self.is_granted(value), block.column(consent_column)))
        if list_name_column is not None:
            names = block.column(list_name_column)
            odd.update(place for place, name in enumerate(names) if type(name) is not str or not list_name(name)[0])
        return sorted(odd)

    def check_key(self, record: Mapping[str, Any], place: Place) -> bool:
        """Tell whether every key property has a value.

        Raises:
            MissingKeyError: a key property is not in the record at all, which no good tap does.
        """
        for name in self.key_properties:
            if name not in record:
                msg = (
                    f"A record of stream {self.tally.stream} ({place}) lacks the key property {name}. "
                    "The tap is at fault, or a stream map that drops the column."
                )
                raise MissingKeyError(msg)
        return all(record[name] is not None for name in self.key_properties)

    def identities(self, record: Mapping[str, Any], place: Place, *, are_meant: bool = True) -> dict[str, bytes]:
        """Return column → identity, packed, for the good values of a row; count the bad ones.

        Args:
            record: the row.
            place: where it stands.
            are_meant: whether they are for a list; else they only tell which rows those are that have no key, and are
                not counted.
        """
        found = {}
        for column, (identity, remark) in self._verdicts(record):
            if identity is not None:
                self.tally.received += are_meant
                self.tally.usable.add(column)
                if remark is not None:
                    self.tally.remark(column, remark, place)
                found[column] = pack_identity(identity)
            elif remark is not None and remark.rejects:
                self.tally.note_shape(column, record.get(column))
                self._reject(column, remark, place, record)
            elif remark is Remark.OPTED_OUT:
                self.tally.remark(column, remark, place)
        return found

    def identity_column(self, column: str, block: RecordBlock) -> list[bytes | None]:
        """Return the identities, packed, in a column of rows that follow each other, None where there is none.

        They are counted as `identities` counts them.
        """
        values = block.column(column)
        identities, remarks = identify_column(values, self.columns[column], self.hashing, self.algorithm)
        good = len(identities) - identities.count(None)
        self.tally.received += good
        if good:
            self.tally.usable.add(column)
        for at, remark, count in remarks:
            if remark.rejects:
                self.tally.note_shape(column, values[at])
                record = block.record(at) if self.rejected is not None else {}
                self._reject(column, remark, block.place(at), record)
            else:
                self.tally.remark(column, remark, block.place(at), count)
        return identities

    def forms(self, record: Mapping[str, Any], named: Mapping[str, bytes]) -> dict[str, tuple[bytes, ...]]:
        """Return column → what a plain value of a row is under the algorithms that are not used, packed.

        Args:
            record: the row.
            named: the identities in it, as `identities` returned them.
        """
        found = {}
        for column, own in named.items():
            others = (
                identify(record.get(column), self.columns[column], self.hashing, each).identity
                for each in self._other_algorithms
            )
            packed = (pack_identity(each) for each in others if each is not None)
            forms = tuple(each for each in packed if each != own)
            if forms:
                found[column] = forms
        return found

    def form_columns(self, column: str, block: RecordBlock, named: Sequence[bytes | None]) -> list[list[bytes | None]]:
        """Return the values of a column under each of the algorithms that are not used, None where it is no other.

        Args:
            column: the column.
            block: the rows.
            named: the identities in the column, as `identity_column` returned them.
        """
        values, kind = block.column(column), self.columns[column]
        others = [identify_column(values, kind, self.hashing, each)[0] for each in self._other_algorithms]
        return [[form if form != own else None for form, own in zip(forms, named, strict=True)] for forms in others]

    @property
    def _other_algorithms(self) -> list[HashAlgorithm]:
        return [each for each in HashAlgorithm if each is not self.algorithm]

    def reject_row(self, record: Mapping[str, Any], reason: Remark, place: Place) -> dict[str, bytes]:
        """Set a whole row aside: every identity that it could have had is rejected for the same reason.

        Returns:
            Column → identity, packed, for the values that are good by themselves.
        """
        found = {}
        for column, (identity, remark) in self._verdicts(record):
            if identity is not None:
                found[column] = pack_identity(identity)
            if identity is not None or (remark is not None and remark.rejects):
                self._reject(column, reason, place, record)
        return found

    def _reject(self, column: str, reason: Remark, place: Place, record: Mapping[str, Any]) -> None:
        self.tally.reject(column, reason, place)
        if self.rejected is not None:
            self.rejected(column, reason, place, record)

    def _verdicts(self, record: Mapping[str, Any]) -> Iterator[tuple[str, Identified]]:
        for column, kind in self.columns.items():
            yield column, identify(record.get(column), kind, self.hashing, self.algorithm)
