"""The rows that are held out: their number, and the file of their keys for a join in the customer's own warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from target_pinterest_audience.identities.hashing import HashAlgorithm, Hashing, hex_digest
from target_pinterest_audience.identities.identify import identify
from target_pinterest_audience.identities.packed import unpack_identity
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.records.arrow_column import UuidBytes
from target_pinterest_audience.routing.holdout import deciding_order, first_identities

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.identities.types import IdentityType
    from target_pinterest_audience.records.block import RecordBlock
    from target_pinterest_audience.reporting.json_lines import JsonLinesFile
    from target_pinterest_audience.routing.holdout import HoldOut

_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode
_LONGEST_INTEGER: Final = 1 << 63


class HeldRows:
    """Chooses the rows of one stream that are held out, counts them, and writes their keys to `holdout_path`.

    Keys are the customer's own ids. An identity among them is written as its digest, and so is any text with an @.
    """

    def __init__(
        self,
        holdout: HoldOut,
        tally: StreamTally,
        key_properties: Sequence[str],
        columns: Mapping[str, IdentityType],
        file: JsonLinesFile | None,
    ) -> None:
        """Prepare.

        Args:
            holdout: chooses the people who are held out.
            tally: counts the rows.
            key_properties: the columns of the key.
            columns: the identity columns and their types.
            file: the file; None if there is none.
        """
        self._holdout = holdout
        self._tally = tally
        self._key_properties = key_properties
        self._columns = columns
        self._order = deciding_order(columns)
        self._file = file

    def check(self, warn: Callable[[str], None]) -> None:
        """Log a warning if the file cannot name the rows.

        Args:
            warn: logs a warning about the stream.
        """
        if self._file is not None and not self._key_properties:
            warn(
                "its rows have no key, so the file at `holdout_path` does not list those that are held out. Compute "
                "the choice in your warehouse instead: the guide on measuring lift has the query."
            )

    def takes(self, record: Mapping[str, Any], named: Mapping[str, Sequence[bytes]]) -> bool:
        """Return whether the first identity in a record says that its person is held out.

        If the record lacks a column before that identity, what its row said in the column decides in the ledger. Most
        records without a column are of sources that leave out nulls, so the count and the file go by the record.

        Args:
            record: the record.
            named: identity column → its packed identities, in order.

        Raises:
            OutputError: the file cannot be written.
        """
        first = next((column for column in self._order if named.get(column)), None)
        if first is None or not self._holdout.chooses(named[first][0]):
            return False
        self._tally.held_out_rows += 1
        if self._file is not None and self._key_properties:
            firsts = {name: each[0] for name, each in named.items() if each}
            self._file.write([self._line((name, record[name], firsts.get(name)) for name in self._key_properties)])
        return True

    def take_block(self, block: RecordBlock, named: Mapping[str, Sequence[Sequence[bytes | None]]]) -> list[int]:
        """Return the indices of the rows in a block that are held out, in ascending order.

        Args:
            block: rows that have their key and all identity columns.
            named: identity column → its layers, as in `RowBlock`.

        Raises:
            OutputError: the file cannot be written.
        """
        held = self._holdout.choose(first_identities(named[column][0] for column in self._order))
        self._tally.held_out_rows += len(held)
        if held and self._file is not None and self._key_properties:
            nothing: Sequence[Sequence[None]] = [[None] * len(block)]
            columns = [(name, block.column(name), named.get(name, nothing)[0]) for name in self._key_properties]
            self._file.write(
                self._line((name, values[index], identities[index]) for name, values, identities in columns)
                for index in held
            )
        return held

    def _line(self, key: Iterable[tuple[str, Any, bytes | None]]) -> bytes:
        """Return a line, given each key property with its value and the identity that the row has in it."""
        values = {
            name: unpack_identity(identity) if identity is not None else _shown(value, hidden=name in self._columns)
            for name, value, identity in key
        }
        return _encode({"stream": self._tally.stream, "key": values})


def _shown(value: Any, *, hidden: bool) -> Any:  # noqa: ANN401 - any JSON values
    """Return the value of a key property as the file shows it.

    Args:
        value: the value.
        hidden: whether the column is for identities, so that even a value that is none is shown as its digest.
    """
    if isinstance(value, UuidBytes):
        value = str(UUID(bytes=bytes(value)))
    elif isinstance(value, bytes):
        value = value.hex()
    elif isinstance(value, int) and abs(value) >= _LONGEST_INTEGER:
        value = str(value)
    if not hidden and not (isinstance(value, str) and "@" in value):
        return value
    address = identify(value, IDENTITY_TYPES["EMAIL"], Hashing.AUTO, HashAlgorithm.SHA256).identity
    return address if address is not None else hex_digest(str(value), HashAlgorithm.SHA256)
