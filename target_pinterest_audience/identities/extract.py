"""Extracts the identities from records. Plain values go no further than this."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import UnsetType

from target_pinterest_audience.errors import MissingKeyError
from target_pinterest_audience.identities.column import Remarked, identify_column
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.identify import Identified, identify
from target_pinterest_audience.identities.list_names import list_name
from target_pinterest_audience.identities.marks import indices_where, is_granted, is_set
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.phone_countries import NO_COUNTRIES, PhoneCountries
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.identities.types import IdentityType
from target_pinterest_audience.records.arrow_column import FileColumn
from target_pinterest_audience.records.position import Place

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock

_MISSING: Final[frozenset[type]] = frozenset({UnsetType})
_GONE: Final[frozenset[type]] = frozenset({UnsetType, type(None)})


def _indices(values: Sequence[Any], types: frozenset[type]) -> list[int]:
    """Return the indices of values of some types. A column of a file holds no such value but None."""
    if isinstance(values, FileColumn) and None not in values:
        return []
    # Values of these types are false, and `all` takes a third of the time.
    if all(values) or types.isdisjoint(map(type, values)):
        return []
    return [index for index, value in enumerate(values) if type(value) in types]


class Rejected(Protocol):
    """Handles rejected values."""

    def __call__(self, column: str, reason: Remark, place: Place, record: Mapping[str, Any]) -> None:
        """Handle one rejected value; the record is for its key."""
        ...


@dataclass(frozen=True, slots=True)
class IdentityExtractor:
    """Extracts the identities from the rows of one stream, and counts them.

    Attributes:
        columns: the identity columns and their types.
        key_properties: the columns of the rows' keys.
        removal_columns: the columns that mark deleted rows.
        consent_words: the texts in a consent column that mean yes.
        hashing: whether plain values are hashed or rejected.
        algorithm: the digest of values that the target hashes.
        tally: counts values and remarks.
        rejected: handles every rejected value; None if nothing does.
        countries: how rows name the country of their phone numbers.
    """

    columns: Mapping[str, IdentityType]
    key_properties: Sequence[str]
    removal_columns: Sequence[str]
    consent_words: Collection[str]
    hashing: Hashing
    algorithm: HashAlgorithm
    tally: StreamTally
    rejected: Rejected | None = None
    countries: PhoneCountries = NO_COUNTRIES

    def is_deleted(self, record: Mapping[str, Any]) -> bool:
        """Return whether the source deleted a row."""
        return any(is_set(record.get(name)) for name in self.removal_columns)

    def is_granted(self, value: object) -> bool:
        """Return whether the value of a consent column means yes."""
        return is_granted(value, self.consent_words)

    def odd_rows(self, block: RecordBlock, consent_column: str | None, list_name_column: str | None) -> list[int]:
        """Return the indices of the rows that have to be read one by one, in order.

        The other rows have a complete key and all identity columns, are not deleted, and, if there are such columns,
        consent and name their list.
        """
        odd: set[int] = set()
        for name in self.key_properties:
            odd.update(_indices(block.column(name), _GONE))
        for name in self.columns:
            odd.update(_indices(block.column(name), _MISSING))
        for name in self.removal_columns:
            odd.update(indices_where(is_set, block.column(name)))
        if consent_column is not None:
            odd.update(indices_where(lambda value: not self.is_granted(value), block.column(consent_column)))
        if list_name_column is not None:
            names = block.column(list_name_column)
            odd.update(index for index, name in enumerate(names) if type(name) is not str or not list_name(name)[0])
        return sorted(odd)

    def check_key(self, record: Mapping[str, Any], place: Place) -> bool:
        """Return whether every key property has a value.

        Raises:
            MissingKeyError: the record lacks a key property, so the tap or a stream map is wrong.
        """
        for name in self.key_properties:
            if name not in record:
                msg = (
                    f"A record of stream {self.tally.stream} ({place}) lacks the key property {name}. "
                    "Check the tap, and whether a stream map drops the column."
                )
                raise MissingKeyError(msg)
        return all(record[name] is not None for name in self.key_properties)

    def identities(self, record: Mapping[str, Any], place: Place, *, are_meant: bool = True) -> dict[str, bytes]:
        """Return column → identity, packed, for the good values of a row; count the values.

        Args:
            record: the row.
            place: the place of the row.
            are_meant: whether the identities are for a list; else they only identify a row without a key, and are not
                counted.
        """
        found = {}
        for column, (identity, remark) in self._verdicts(record):
            if identity is not None:
                self.tally.received += are_meant
                self.tally.usable.add(column)
                if remark is not None:
                    self.tally.remark(column, remark, place)
                found[column] = self._pack(column, identity)
            elif remark is not None and remark.rejects:
                self.tally.note_shape(column, record.get(column))
                self._reject(column, remark, place, record)
            elif remark is Remark.OPTED_OUT:
                self.tally.remark(column, remark, place)
        return found

    def identity_column(self, column: str, block: RecordBlock) -> list[bytes | None]:
        """Return the identities in a column of a block, packed, or None; count the values as `identities` does."""
        values = block.column(column)
        identities, remarks = self._identify_column(column, block, self.algorithm)
        good = len(identities) - identities.count(None)
        self.tally.received += good
        if good:
            self.tally.usable.add(column)
        for index, remark, count in remarks:
            if remark.rejects:
                self.tally.note_shape(column, values[index])
                record = block.record(index) if self.rejected is not None else {}
                self._reject(column, remark, block.place(index), record)
            else:
                self.tally.remark(column, remark, block.place(index), count)
        return identities

    def forms(self, record: Mapping[str, Any], named: Mapping[str, bytes]) -> dict[str, tuple[bytes, ...]]:
        """Return column → the identities, packed, of a row's plain values under the other algorithms.

        Args:
            record: the row.
            named: the identities of the row, from `identities`.
        """
        found = {}
        country = self.countries.of_record(record)
        for column, own in named.items():
            others = (
                identify(record.get(column), self.columns[column], self.hashing, each, country).identity
                for each in self._other_algorithms
            )
            packed = (self._pack(column, each) for each in others if each is not None)
            forms = tuple(each for each in packed if each != own)
            if forms:
                found[column] = forms
        return found

    def form_columns(self, column: str, block: RecordBlock, named: Sequence[bytes | None]) -> list[list[bytes | None]]:
        """Return the identities in a column under each of the other algorithms; None where they do not differ.

        Args:
            column: the column.
            block: the rows.
            named: the identities in the column, from `identity_column`.
        """
        others = [self._identify_column(column, block, each)[0] for each in self._other_algorithms]
        return [[form if form != own else None for form, own in zip(forms, named, strict=True)] for forms in others]

    @property
    def _other_algorithms(self) -> list[HashAlgorithm]:
        return [each for each in HashAlgorithm if each is not self.algorithm]

    def reject_row(self, record: Mapping[str, Any], reason: Remark, place: Place) -> dict[str, bytes]:
        """Reject all identities of a row for the same reason.

        Returns:
            Column → identity, packed, for the values that are good in themselves.
        """
        found = {}
        for column, (identity, remark) in self._verdicts(record):
            if identity is not None:
                found[column] = self._pack(column, identity)
            if identity is not None or (remark is not None and remark.rejects):
                self._reject(column, reason, place, record)
        return found

    def _reject(self, column: str, reason: Remark, place: Place, record: Mapping[str, Any]) -> None:
        self.tally.reject(column, reason, place)
        if self.rejected is not None:
            self.rejected(column, reason, place, record)

    def _verdicts(self, record: Mapping[str, Any]) -> Iterator[tuple[str, Identified]]:
        country = self.countries.of_record(record)
        for column, kind in self.columns.items():
            yield column, identify(record.get(column), kind, self.hashing, self.algorithm, country)

    def _identify_column(
        self, column: str, block: RecordBlock, algorithm: HashAlgorithm
    ) -> tuple[list[bytes | None], list[Remarked]]:
        kind = self.columns[column]
        countries = self.countries.of_block(block) if kind.read is not None else None
        return identify_column(block.column(column), kind, self.hashing, algorithm, countries)

    def _pack(self, column: str, identity: str) -> bytes:
        return pack_identity(identity, self.columns[column].wire)
