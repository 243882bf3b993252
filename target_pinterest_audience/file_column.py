"""A column of a columnar file: looked at where it lies, and turned into Python's values only if it has to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

_UUID_AS_BYTES: Final = "fixed_size_binary[16]"
_TEXTS: Final = frozenset({"string", "large_string"})
_INTEGERS: Final = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


class UuidBytes(bytes):
    """The 16 bytes of a UUID, as older versions of Arrow return it."""

    __slots__ = ()


def values_of(array: pa.Array, *, is_uuid: bool = False) -> Sequence[Any]:
    """Return the values of an array, None where there is none.

    Args:
        array: the array.
        is_uuid: whether the file says that its values are UUIDs.

    Raises:
        ValueError: Python cannot have one of them: half a character, or a moment after the year 9999.
    """
    kind = str(array.type)
    if kind in _TEXTS:
        array.validate(full=True)
    if is_uuid and kind == _UUID_AS_BYTES:
        return [None if value is None else UuidBytes(value) for value in array.to_pylist()]
    return FileColumn(array) if kind in _TEXTS | _INTEGERS else array.to_pylist()


class FileColumn(Sequence[Any]):
    """The texts or integers of a column, None where there is none."""

    __slots__ = ("_array", "_values")

    def __init__(self, array: pa.Array) -> None:
        """Take over an array."""
        self._array = array
        self._values: list[Any] | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._array)

    def __getitem__(self, place: int | slice) -> Any:  # noqa: ANN401 - a value, or a column
        """Return one, or some."""
        return FileColumn(self._array[place]) if isinstance(place, slice) else self._array[place].as_py()

    def __iter__(self) -> Iterator[Any]:
        """Yield all."""
        return iter(self._list())

    def __contains__(self, value: object) -> bool:
        """Tell whether one is equal to a value."""
        return self.gaps > 0 if value is None else value in self._list()

    def count(self, value: object) -> int:
        """Return how many are equal to a value."""
        return self.gaps if value is None else self._list().count(value)

    def _list(self) -> list[Any]:
        if self._values is None:
            self._values = self._array.to_pylist()
        return self._values

    @property
    def is_text(self) -> bool:
        """Whether its values are texts."""
        return str(self._array.type) in _TEXTS

    @property
    def gaps(self) -> int:
        """How many there are not."""
        gaps: int = self._array.null_count
        return gaps

    def matching(self, pattern: str, most: int) -> list[bytes | None]:
        """Return each text in lower case and trimmed of blanks, None where it is not as it should be then.

        Args:
            pattern: what all of a text has to match; one that both Python and RE2 know.
            most: how long it may be, in bytes.
        """
        import pyarrow as pa  # noqa: PLC0415 - imported already, or there would be no column
        from pyarrow import compute  # noqa: PLC0415 - likewise

        tidy = compute.ascii_lower(compute.ascii_trim(self._array, " "))
        is_short = compute.less_equal(compute.binary_length(tidy), most)
        matches = compute.and_(compute.match_substring_regex(tidy, rf"\A(?:{pattern})\z"), is_short)
        found: list[bytes | None] = compute.if_else(matches, tidy.cast(pa.binary()), None).to_pylist()
        return found
