"""Columns of Parquet files. They stay in Arrow's memory, and become Python values only where needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

from target_pinterest_audience.records.paths import Field, regrouped, value_in

if TYPE_CHECKING:
    import pyarrow as pa

_UUID_AS_BYTES: Final = "fixed_size_binary[16]"
_TEXTS: Final = frozenset({"string", "large_string"})
_TEXTS_AS_BYTES: Final = frozenset({"binary", "large_binary", "string_view", "binary_view"})

_DIGITS: Final = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Unit → the digits of its fraction of a second."""
_MICROSECONDS: Final = 6
_DAY_SECONDS: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class UuidBytes(bytes):
    """The 16 bytes of a UUID. Older versions of Arrow return UUIDs as bytes."""

    __slots__ = ()


class MomentText(str):
    """A time that Python's types cannot represent, as ISO 8601 text: with nanoseconds, or after the year 9999."""

    __slots__ = ()


def values_of(array: pa.Array, *, is_uuid: bool = False) -> Sequence[Any]:
    """Return the values of an array, with None for nulls.

    A value that Python's type cannot represent does not affect the others: text that is not UTF-8 stays bytes, and a
    time becomes a `MomentText`. NaN is a null: pandas writes it where an integer is missing. The form of a value does
    not depend on the other values.

    Args:
        array: the array.
        is_uuid: whether the file declares the values to be UUIDs.
    """
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no array
    from pyarrow import types  # noqa: PLC0415 - imported already, or there would be no array

    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if types.is_integer(kind):
        return FileColumn(array)
    if types.is_fixed_size_binary(kind):
        is_uuid = is_uuid and str(kind) == _UUID_AS_BYTES
        return [UuidBytes(each) if is_uuid and each is not None else text_of(each) for each in array.to_pylist()]
    try:
        texts = _texts(array)
        if texts is not None:
            return texts
        # These casts raise where they would lose digits. Arrow's own conversion loses some, or depends on pandas.
        if types.is_timestamp(kind):
            array = array.cast(pa.timestamp("us", kind.tz))
        elif str(kind) == "time64[ns]":
            array = array.cast(pa.time64("us"))
        elif types.is_duration(kind):
            array = array.cast(pa.duration("us"))
        values: list[Any] = array.to_pylist()
    except Exception:  # noqa: BLE001 - one bad value can make Arrow or Python raise errors of many types
        return list(map(_value_of, array))
    if types.is_floating(kind):
        return [None if value != value else value for value in values]  # noqa: PLR0124 - only NaN differs from itself
    return values


def values_inside(array: pa.Array, fields: Sequence[Field], *, is_single: bool = False) -> Sequence[Any]:
    """Return the values at the end of a path, in the form of `paths.value_in`.

    Args:
        array: the values of the column.
        fields: the fields of the path.
        is_single: whether the path means one value.
    """
    from pyarrow import compute, types  # noqa: PLC0415 - imported already, or there would be no array

    for index, (name, _) in enumerate(fields):
        if not is_single and (types.is_list(array.type) or types.is_large_list(array.type)):
            found = values_inside(compute.list_flatten(array), fields[index:])
            if list not in set(map(type, found)):
                lengths = compute.list_value_length(array).to_pylist()
                return regrouped(found, [range(each or 0) for each in lengths])
        if not types.is_struct(array.type):
            return [value_in(value, fields[index:], is_single=is_single) for value in values_of(array)]
        if array.type.get_field_index(name) < 0:
            return [None] * len(array)
        # Unlike `StructArray.field`, this returns nulls where the object is null.
        array = compute.struct_field(array, name)
    return values_of(array)


def _texts(array: pa.Array) -> FileColumn | None:
    """Return a column of texts; None if the array has another type.

    Raises:
        pyarrow.ArrowInvalid: a text is not UTF-8.
    """
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no array

    if str(array.type) in _TEXTS:
        array.validate(full=True)
        return FileColumn(array)
    # Many writers store text as bytes.
    return FileColumn(array.cast(pa.large_string())) if str(array.type) in _TEXTS_AS_BYTES else None


def text_of(value: bytes | None) -> str | bytes | None:
    """Return bytes as text if they are UTF-8, and unchanged otherwise."""
    try:
        return value.decode() if value is not None else None
    except UnicodeDecodeError:
        return value


def _value_of(scalar: pa.Scalar) -> Any:  # noqa: ANN401, PLR0911 - any value that a file holds; one branch for each type
    """Return a single value, without loss even if Python's type cannot represent it."""
    import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no value
    from pyarrow import types  # noqa: PLC0415 - imported already, or there would be no value

    kind = scalar.type
    if not scalar.is_valid:
        return None
    if types.is_struct(kind):
        return {kind.field(place).name: _value_of(scalar[place]) for place in range(kind.num_fields)}
    if types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        return _value_of(scalar.value)
    if types.is_nested(kind):
        return list(map(_value_of, scalar.values))
    if types.is_timestamp(kind):
        return _moment_of(scalar.value, _DIGITS[kind.unit], is_aware=kind.tz is not None)
    if types.is_date(kind):
        return _date_of(scalar.value if types.is_date32(kind) else scalar.value // (_DAY_SECONDS * 1000))
    if str(kind) == "time64[ns]" and scalar.value % 1000:
        return MomentText(_clock(scalar.value // 10**9, scalar.value % 10**9, _DIGITS["ns"]))
    if types.is_duration(kind):
        with contextlib.suppress(pa.ArrowInvalid, OverflowError):
            return scalar.cast(pa.duration("us")).as_py()
        return f"{scalar.value} {kind.unit}"
    return text_of(scalar.as_buffer().to_pybytes()) if isinstance(scalar, pa.BinaryScalar) else scalar.as_py()


def _moment_of(value: int, digits: int, *, is_aware: bool) -> datetime | MomentText:
    """Return a time given in Unix time, in units of a second divided by a power of ten."""
    seconds, rest = divmod(value, 10**digits)
    microseconds, finer = divmod(rest * 10**_MICROSECONDS, 10**digits)
    if not finer:
        with contextlib.suppress(OverflowError):
            moment = _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
            return moment if is_aware else moment.replace(tzinfo=None)
    days, seconds = divmod(seconds, _DAY_SECONDS)
    clock = _clock(seconds, rest, digits) if finer else _clock(seconds, microseconds, _MICROSECONDS)
    return MomentText(f"{_day(days)}T{clock}{'+00:00' if is_aware else ''}")


def _date_of(days: int) -> date | MomentText:
    """Return the date that is a number of days after 1970-01-01."""
    with contextlib.suppress(OverflowError):
        return _EPOCH.date() + timedelta(days)
    return MomentText(_day(days))


def _day(days: int) -> str:
    """Return a date of the Gregorian calendar as text, for any year."""
    # The calendar repeats itself every 400 years, which are 146,097 days.
    eras, left = divmod(days, 146_097)
    day = _EPOCH.date() + timedelta(left)
    year = day.year + 400 * eras
    return f"{'-' * (year < 0)}{abs(year):04d}-{day.month:02d}-{day.day:02d}"


def _clock(seconds: int, rest: int, digits: int) -> str:
    """Return a time of day as text, with a fraction of a second of some digits."""
    hours, minutes = divmod(seconds // 60, 60)
    fraction = f".{rest:0{digits}d}" if rest else ""
    return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{fraction}"


class FileColumn(Sequence[Any]):
    """The texts or integers of a column, with None for nulls."""

    __slots__ = ("_array", "_values")

    def __init__(self, array: pa.Array) -> None:
        """Wrap an array."""
        self._array = array
        self._values: list[Any] | None = None

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._array)

    def __getitem__(self, place: int | slice) -> Any:  # noqa: ANN401 - a value, or a column
        """Return a value, or a slice as a column."""
        return FileColumn(self._array[place]) if isinstance(place, slice) else self._array[place].as_py()

    def __iter__(self) -> Iterator[Any]:
        """Yield the values."""
        return iter(self._list())

    def __contains__(self, value: object) -> bool:
        """Return whether the column has a value."""
        return self.gaps > 0 if value is None else value in self._list()

    def count(self, value: object) -> int:
        """Return how often the column has a value."""
        return self.gaps if value is None else self._list().count(value)

    def _list(self) -> list[Any]:
        if self._values is None:
            self._values = self._array.to_pylist()
        return self._values

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return str(self._array.type) in _TEXTS

    @property
    def gaps(self) -> int:
        """The number of nulls."""
        gaps: int = self._array.null_count
        return gaps

    @property
    def longest(self) -> int:
        """The length of the longest text in bytes."""
        from pyarrow import compute  # noqa: PLC0415 - imported already, or there would be no column

        return compute.max(compute.binary_length(self._array)).as_py() or 0

    def matching(self, pattern: str, most: int) -> list[bytes | None]:
        """Return each text, stripped of spaces and in lower case; None for texts that do not match then.

        Args:
            pattern: a regular expression, in the syntax that Python and RE2 share, that must match the whole text.
            most: the largest length in bytes.
        """
        import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no column
        from pyarrow import compute  # noqa: PLC0415 - imported already, or there would be no column

        tidy = compute.ascii_lower(compute.ascii_trim(self._array, " "))
        is_short = compute.less_equal(compute.binary_length(tidy), most)
        matches = compute.and_(compute.match_substring_regex(tidy, rf"\A(?:{pattern})\z"), is_short)
        found: list[bytes | None] = compute.if_else(matches, tidy.cast(pa.binary()), None).to_pylist()
        return found
