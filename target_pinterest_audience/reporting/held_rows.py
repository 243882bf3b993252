"""The rows that are held out: their number, and the file of their keys for a join in the customer's own warehouse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from target_pinterest_audience.routing.holdout import deciding_order, first_identities

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.identities.types import IdentityType
    from target_pinterest_audience.records.block import RecordBlock
    from target_pinterest_audience.reporting.json_lines import JsonLinesFile
    from target_pinterest_audience.reporting.key_values import KeyValues
    from target_pinterest_audience.routing.holdout import HoldOut

_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


class HeldRows:
    """Chooses the rows of one stream that are held out, counts them, and writes their keys to `holdout_path`.

    Keys are the customer's own ids; `KeyValues` shows identities in them as digests.
    """

    def __init__(
        self,
        holdout: HoldOut,
        tally: StreamTally,
        columns: Mapping[str, IdentityType],
        keys: KeyValues,
        file: JsonLinesFile | None,
    ) -> None:
        """Prepare.

        Args:
            holdout: chooses the people who are held out.
            tally: counts the rows.
            columns: the identity columns and their types.
            keys: shows the keys of the rows.
            file: the file; None if there is none.
        """
        self._holdout = holdout
        self._tally = tally
        self._keys = keys
        self._order = deciding_order(columns)
        self._file = file

    def check(self, warn: Callable[[str], None]) -> None:
        """Log a warning if the file cannot name the rows.

        Args:
            warn: logs a warning about the stream.
        """
        if self._file is not None and not self._keys:
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
        if self._file is not None and self._keys:
            self._file.write([self._line(self._keys.of_record(record))])
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
        if held and self._file is not None and self._keys:
            key = self._keys.of_block(block)
            self._file.write(self._line(key(index)) for index in held)
        return held

    def _line(self, key: Mapping[str, Any]) -> bytes:
        return _encode({"stream": self._tally.stream, "key": key})
