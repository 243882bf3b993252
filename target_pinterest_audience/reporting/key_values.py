"""The keys of rows as files show them: with a digest in place of each identity, however deep it lies. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing, hex_digest
from target_pinterest_audience.identities.identify import identify, trim
from target_pinterest_audience.identities.phone_countries import NO_COUNTRIES, PhoneCountries
from target_pinterest_audience.identities.phones import shows_a_phone
from target_pinterest_audience.identities.types import IDENTITY_TYPES, IdentityType
from target_pinterest_audience.records.arrow_column import UuidBytes
from target_pinterest_audience.records.paths import Path, several

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock

_LONGEST_INTEGER: Final = 1 << 63

_Inside = Sequence[tuple[Sequence[str], IdentityType]]
"""Where identities lie inside a value: the fields that lead to them, and their type. No field: the value itself."""


class _Row(NamedTuple):
    """What a row says outside of its key.

    Attributes:
        country: the country of its phone numbers, as `identify` takes it.
        named: the text of each value in its identity columns, and the type of the column.
    """

    country: str | None
    named: Mapping[str, IdentityType]


class KeyValues:
    """Shows the keys of one stream's rows, with a digest for each identity and for any text that looks like one.

    A key property may be an object or an array that holds identities inside, such as the `_id` of a grouped collection,
    and it may repeat what an identity column holds.
    """

    def __init__(
        self,
        key_properties: Sequence[str],
        columns: Mapping[str, IdentityType],
        paths: Mapping[str, Path],
        hashing: Hashing = Hashing.AUTO,
        algorithm: HashAlgorithm = HashAlgorithm.SHA256,
        countries: PhoneCountries = NO_COUNTRIES,
    ) -> None:
        """Prepare.

        Args:
            key_properties: the columns of the key.
            columns: identity column, or the text of a path into one → its type.
            paths: the text of each path, and the path.
            hashing: whether plain values are hashed or rejected.
            algorithm: the digest of values that the target hashes.
            countries: how rows name the country of their phone numbers.
        """
        found = [(paths.get(text, Path(text)), kind) for text, kind in columns.items()]
        self._inside: dict[str, _Inside] = {
            name: [(tuple(each for each, _ in path.fields), kind) for path, kind in found if path.column == name]
            for name in key_properties
        }
        self._columns = columns
        self._rules = hashing, algorithm
        self._countries = countries

    def __bool__(self) -> bool:
        """Return whether rows have a key."""
        return bool(self._inside)

    def of_record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the key of a record, as JSON values."""
        row = _Row(self._countries.of_record(record), self._named(record.get))
        return {name: self._shown(record[name], inside, row) for name, inside in self._inside.items()}

    def of_block(self, block: RecordBlock) -> Callable[[int], dict[str, Any]]:
        """Return a function that returns the key of the row at an index, as JSON values."""
        columns = [(name, block.column(name), inside) for name, inside in self._inside.items()]
        country = self._countries.of_block(block)

        def key(index: int) -> dict[str, Any]:
            named = self._named(lambda column: block.column(column)[index])
            row = _Row(country(index) if country is not None else None, named)
            return {name: self._shown(values[index], inside, row) for name, values, inside in columns}

        return key

    def _named(self, value: Callable[[str], Any]) -> dict[str, IdentityType]:
        """Return the text of each value in the identity columns of a row, and the type of the column."""
        return {
            str(each): kind
            for column, kind in self._columns.items()
            for each in several(value(column))
            if isinstance(each, (str, int))
        }

    def _shown(self, value: Any, inside: _Inside, row: _Row) -> Any:  # noqa: ANN401 - any JSON values
        """Return a value as the file shows it."""
        if value is None:
            return None
        if isinstance(value, (list, tuple)):
            # A path leads through arrays, and an array of identities is a column of them.
            return [self._shown(each, inside, row) for each in value]
        kind = next((kind for fields, kind in inside if not fields), None)
        if isinstance(value, dict) and kind is None:
            return {
                self._shown(name, (), row): self._shown(
                    each, [(fields[1:], kind) for fields, kind in inside if fields[0] == name], row
                )
                for name, each in value.items()
            }
        shown = _as_json(value)
        given = value if isinstance(value, int) else shown
        if kind is not None or inside or _looks_like_an_identity(shown):
            # What stands where an identity is expected may be one, though the target cannot read it.
            return self._identity(given, kind, row) or _digest(given)
        return self._identity(given, row.named.get(str(value)), row) or shown

    def _identity(self, value: Any, kind: IdentityType | None, row: _Row) -> str | None:  # noqa: ANN401 - see above
        """Return the identity that Pinterest gets for a value of a type; None if there is none."""
        return identify(value, kind, *self._rules, row.country).identity if kind is not None else None


def _digest(value: object) -> str:
    """Return the digest of a value's text, or of the address that it is."""
    address = identify(value, IDENTITY_TYPES["EMAIL"], Hashing.AUTO, HashAlgorithm.SHA256).identity
    return address if address is not None else hex_digest(str(value), HashAlgorithm.SHA256)


def _as_json(value: Any) -> Any:  # noqa: ANN401 - any JSON values
    """Return a value that is no object or array in a form that JSON has, and a warehouse understands."""
    if isinstance(value, UuidBytes):
        return str(UUID(bytes=bytes(value)))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and abs(value) >= _LONGEST_INTEGER:
        return str(value)
    if isinstance(value, str) and not value.isascii():
        # JSON in UTF-8 has no lone surrogates.
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _looks_like_an_identity(value: object) -> bool:
    return isinstance(value, str) and ("@" in value or shows_a_phone(trim(value)))
