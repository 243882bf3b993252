"""The country of a row, for its national phone numbers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from target_pinterest_audience.identities.phones import COUNTRIES, UNKNOWN_COUNTRY

if TYPE_CHECKING:
    from target_pinterest_audience.records.block import RecordBlock


@dataclass(frozen=True, slots=True)
class PhoneCountries:
    """How the rows of a stream name their country.

    Attributes:
        default: the country of rows that name none, as an ISO 3166 code (`phone_country`); None if it is not known.
        column: the column, or the text of a path, that names the country of a row (`phone_country_column`); None if
            there is none.
    """

    default: str | None = None
    column: str | None = None

    @property
    def are_set(self) -> bool:
        """Whether national numbers can be read at all."""
        return self.default is not None or self.column is not None

    def of_record(self, record: Mapping[str, Any]) -> str | None:
        """Return the country of a row, as `identify` takes it."""
        return self._of_value(record.get(self.column)) if self.column is not None else self.default

    def of_block(self, block: RecordBlock) -> Callable[[int], str | None] | None:
        """Return a function that returns the country of the row at an index; None if no country is known."""
        if self.column is not None:
            values = block.column(self.column)
            return lambda index: self._of_value(values[index])
        return (lambda _: self.default) if self.default is not None else None

    def _of_value(self, value: object) -> str | None:
        if isinstance(value, str):
            code = value.strip().upper()
            return (code if code in COUNTRIES else UNKNOWN_COUNTRY) if code else self.default
        # A number or an object names a country, too, though not in a way that the target can read.
        return self.default if value is None or value is UNSET else UNKNOWN_COUNTRY


NO_COUNTRIES: Final = PhoneCountries()
"""For streams that have no national numbers to be read."""
