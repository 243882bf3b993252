"""Extracts the identities from records. Plain values go no further than this."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat, zip_longest
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import UnsetType

from target_pinterest_audience.errors import MissingKeyError
from target_pinterest_audience.identities.column import Remarked, identify_column
from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing
from target_pinterest_audience.identities.identify import Identified, identify
from target_pinterest_audience.identities.list_names import UsableNames
from target_pinterest_audience.identities.marks import indices_where, is_granted, is_set
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.phone_countries import NO_COUNTRIES, PhoneCountries
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.identities.types import IdentityType
from target_pinterest_audience.records.arrow_column import FileColumn
from target_pinterest_audience.records.paths import MISPLACED, several
from target_pinterest_audience.records.position import Place

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock

_MISSING: Final[frozenset[type]] = frozenset({UnsetType})
_GONE: Final[frozenset[type]] = frozenset({UnsetType, type(None)})


_FEW_ELEMENTS: Final = 8
"""Rows with longer arrays are read one by one: each element beyond the first costs all rows of a block a place."""

Layer = Sequence[bytes | None]
"""One identity, packed, of each row of a block; None where a row has none."""


def _long_arrays(values: Sequence[Any]) -> list[int]:
    """Return the indices of values that are arrays with many elements."""
    if not _holds_arrays(values):
        return []
    return [index for index, value in enumerate(values) if type(value) is list and len(value) > _FEW_ELEMENTS]


def _holds_arrays(values: Sequence[Any]) -> bool:
    if isinstance(values, FileColumn):
        return False
    try:
        # Only a column of texts can be joined, and joining takes a quarter of the time of looking at each type.
        "".join(values)
    except TypeError:
        return list in set(map(type, values))
    return False


def _elements(values: Sequence[Any]) -> tuple[Sequence[int], Sequence[Any]]:
    """Return the values of a column, each element of an array by itself, after the index of each one's row."""
    if not _holds_arrays(values):
        return range(len(values)), values
    arrays = [value if type(value) is list else [value] for value in values]
    sizes = list(map(len, arrays))
    rows = (
        range(len(values)) if set(sizes) == {1} else list(chain.from_iterable(map(repeat, range(len(values)), sizes)))
    )
    return rows, list(chain.from_iterable(arrays))


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
        list_names: the list names that were found in rows so far.
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
    list_names: UsableNames = field(default_factory=UsableNames)

    def is_deleted(self, record: Mapping[str, Any]) -> bool:
        """Return whether the source deleted a row."""
        return any(is_set(record.get(name)) for name in self.removal_columns)

    def is_granted(self, value: object) -> bool:
        """Return whether the value of a consent column means yes."""
        return is_granted(value, self.consent_words)

    def may_be_deleted(self, record: Mapping[str, Any]) -> bool:
        """Return whether a path to a removal column leads through something else than objects."""
        return any(record.get(name) is MISPLACED for name in self.removal_columns)

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
            odd.update(_long_arrays(block.column(name)))
        for name in self.removal_columns:
            odd.update(indices_where(lambda mark: mark is MISPLACED or is_set(mark), block.column(name)))
        if consent_column is not None:
            odd.update(indices_where(lambda value: not self.is_granted(value), block.column(consent_column)))
        if list_name_column is not None:
            usable = self.list_names
            odd.update(
                index
                for index, name in enumerate(block.column(list_name_column))
                if type(name) is not str or not usable[name]
            )
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
        # Only NaN, which some systems write for a null, differs from itself.
        return all(record[name] is not None and record[name] == record[name] for name in self.key_properties)

    def identities(
        self, record: Mapping[str, Any], place: Place, *, are_meant: bool = True
    ) -> dict[str, tuple[bytes, ...]]:
        """Return column → its different identities, packed and in order, for the good values of a row.

        This counts the values.

        Args:
            record: the row.
            place: the place of the row.
            are_meant: whether the identities are for a list; else they only identify a row without a key, and are not
                counted.
        """
        found: dict[str, set[bytes]] = {}
        for column, value, (identity, remark) in self._verdicts(record):
            if identity is not None:
                own, packed = found.setdefault(column, set()), pack_identity(identity, self.columns[column].wire)
                self.tally.received += are_meant
                self.tally.duplicates += are_meant and packed in own
                self.tally.usable.add(column)
                if remark is not None:
                    self.tally.remark(column, remark, place)
                own.add(packed)
            elif remark is not None and remark.rejects:
                self.tally.note_shape(column, value)
                self._reject(column, remark, place, record)
            elif remark is Remark.OPTED_OUT:
                self.tally.remark(column, remark, place)
        return _in_order(found)

    def identity_layers(self, column: str, block: RecordBlock) -> list[Layer]:
        """Return the identities in a column of a block; count the values as `identities` does.

        Returns:
            One layer if each row has at most one value; else as many as the longest array has different identities.
            The identities of a row are different and in order.
        """
        values = block.column(column)
        rows, elements = _elements(values)
        if isinstance(rows, range):
            return [self._identities_of(column, block, elements, rows)]
        found: list[set[bytes]] = [set() for _ in values]
        good = 0
        for row, identity in zip(rows, self._identities_of(column, block, elements, rows), strict=True):
            if identity is not None:
                good += 1
                found[row].add(identity)
        self.tally.duplicates += good - sum(map(len, found))
        return list(zip_longest(*map(sorted, found))) if good else [[None] * len(values)]

    def _identities_of(
        self, column: str, block: RecordBlock, values: Sequence[Any], rows: Sequence[int]
    ) -> list[bytes | None]:
        """Return the identity of each value, or None; count the values.

        Args:
            column: the column of the values.
            block: their rows.
            values: the values.
            rows: the index of each value's row in the block.
        """
        identities, remarks = self._identify_values(column, block, values, rows, self.algorithm)
        good = len(identities) - identities.count(None)
        self.tally.received += good
        if good:
            self.tally.usable.add(column)
        for index, remark, count in remarks:
            if remark.rejects:
                self.tally.note_shape(column, values[index])
                record = block.record(rows[index]) if self.rejected is not None else {}
                self._reject(column, remark, block.place(rows[index]), record)
            else:
                self.tally.remark(column, remark, block.place(rows[index]), count)
        return identities

    def forms(self, record: Mapping[str, Any], named: Collection[str]) -> dict[bytes, tuple[bytes, ...]]:
        """Return identity → the same person, packed, under the other algorithms, for the plain values of a row.

        Args:
            record: the row.
            named: the columns that have identities.
        """
        found: dict[bytes, tuple[bytes, ...]] = {}
        country = self.countries.of_record(record)
        for column in named:
            kind = self.columns[column]
            for value in several(record.get(column)):
                own, *others = (
                    identify(value, kind, self.hashing, each, country).identity for each in self._algorithms
                )
                if own is not None:
                    packed = [pack_identity(each, kind.wire) for each in others if each is not None]
                    _note_forms(found, pack_identity(own, kind.wire), packed)
        return found

    def forms_in(self, block: RecordBlock) -> dict[int, dict[bytes, tuple[bytes, ...]]]:
        """Return the index of each row with plain values → what `forms` returns for it."""
        found: dict[int, dict[bytes, tuple[bytes, ...]]] = defaultdict(dict)
        for column in self.columns:
            rows, values = _elements(block.column(column))
            own, *others = (self._identify_values(column, block, values, rows, each)[0] for each in self._algorithms)
            for row, identity, *forms in zip(rows, own, *others, strict=True):
                if identity is not None:
                    _note_forms(found[row], identity, forms)
        return found

    @property
    def _algorithms(self) -> list[HashAlgorithm]:
        """All algorithms, the one that is used first."""
        return sorted(HashAlgorithm, key=lambda each: each is not self.algorithm)

    def reject_row(self, record: Mapping[str, Any], reason: Remark, place: Place) -> dict[str, tuple[bytes, ...]]:
        """Reject all identities of a row for the same reason.

        Returns:
            Column → identities, packed and in order, for the values that are good in themselves.
        """
        found: dict[str, set[bytes]] = {}
        for column, _, (identity, remark) in self._verdicts(record):
            if identity is not None:
                found.setdefault(column, set()).add(pack_identity(identity, self.columns[column].wire))
            if identity is not None or (remark is not None and remark.rejects):
                self._reject(column, reason, place, record)
        return _in_order(found)

    def _reject(self, column: str, reason: Remark, place: Place, record: Mapping[str, Any]) -> None:
        self.tally.reject(column, reason, place)
        if self.rejected is not None:
            self.rejected(column, reason, place, record)

    def _verdicts(self, record: Mapping[str, Any]) -> Iterator[tuple[str, object, Identified]]:
        """Yield the column, the value and the verdict of each value of a row; an array has several values."""
        country = self.countries.of_record(record)
        for column, kind in self.columns.items():
            for value in several(record.get(column)):
                yield column, value, identify(value, kind, self.hashing, self.algorithm, country)

    def _identify_values(
        self, column: str, block: RecordBlock, values: Sequence[Any], rows: Sequence[int], algorithm: HashAlgorithm
    ) -> tuple[list[bytes | None], list[Remarked]]:
        """Return what `identify_column` returns for the values of a column.

        Args:
            column: the column.
            block: the rows.
            values: the values.
            rows: the index of each value's row in the block.
            algorithm: the digest of plain values.
        """
        kind, country = self.columns[column], None
        if kind.read is not None and (of_row := self.countries.of_block(block)) is not None:
            country = of_row if isinstance(rows, range) else lambda index: of_row(rows[index])
        return identify_column(values, kind, self.hashing, algorithm, country)


def _in_order(found: Mapping[str, set[bytes]]) -> dict[str, tuple[bytes, ...]]:
    return {column: tuple(sorted(identities)) for column, identities in found.items()}


def _note_forms(found: dict[bytes, tuple[bytes, ...]], identity: bytes, forms: Sequence[bytes | None]) -> None:
    """Note the other forms of an identity, if it has any: a value that is a digest stays the same."""
    others = tuple(form for form in forms if form is not None and form != identity)
    if others:
        found[identity] = others
