"""Reports the rejected values of one stream: those that the target rejects, and those that Pinterest refuses later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_pinterest_audience.errors import RejectedError
from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.reporting.rejects_file import Reject
from target_pinterest_audience.vocabulary import Operation

if TYPE_CHECKING:
    from target_pinterest_audience.identities.tally import StreamTally
    from target_pinterest_audience.membership.row import RowWriter
    from target_pinterest_audience.reporting.rejects_file import RejectsFile
    from target_pinterest_audience.routing.plan import ListReference
    from target_pinterest_audience.run.refusals import RefusedIdentity
    from target_pinterest_audience.run.run import Run
    from target_pinterest_audience.singer.stream_lists import StreamLists


class Rejections:
    """Writes the rejected values of one stream to `rejects_path`, and fails the run if `bad_records` is `fail`.

    It outlives the sink that made it, until Pinterest has answered for all rows of the sink.

    Attributes:
        fails: whether one rejected value fails the run.
    """

    def __init__(
        self, stream: str, lists: StreamLists, tally: StreamTally, file: RejectsFile | None, run: Run, *, fails: bool
    ) -> None:
        """Prepare.

        Args:
            stream: the stream's name after stream maps.
            lists: the lists that the stream feeds.
            tally: counts values that Pinterest refuses.
            file: the file of rejected values, if there is one.
            run: the run.
            fails: whether one rejected value fails the run.
        """
        self.fails = fails
        self._stream = stream
        self._lists = lists
        self._tally = tally
        self._file = file
        self._run = run

    @property
    def are_reported(self) -> bool:
        """Whether every rejected value is reported by itself; otherwise they are only counted."""
        return self.fails or self._file is not None

    def report(self, column: str, reason: Remark, place: Place, row: bytes | None) -> None:
        """Report a value that the target rejects.

        Args:
            column: the column of the value.
            reason: why the value is rejected.
            place: the position of the row.
            row: the ledger's digest of the row's key; None if there is none.

        Raises:
            RejectedError: `bad_records` is `fail`.
            OutputError: the file cannot be written.
        """
        kind = self._lists.columns[column].name
        self._write(column, kind, reason, place, row.hex() if row is not None else None)
        if self.fails:
            raise self._failure(column, reason, place)

    def note_rows(self, line: int, count: int) -> None:
        """Let the run report the values that Pinterest refuses from these rows to this object.

        Args:
            line: the line of the first row.
            count: the number of consecutive lines.
        """
        self._run.refusals.note_rows(line, count, self)

    def note_refused(self, references: Collection[ListReference], refused: RefusedIdentity) -> bool:
        """Count an identity that Pinterest refuses; return whether it can come from this stream.

        Args:
            references: all references to the list.
            refused: the identity.
        """
        columns = self._lists.columns_feeding(references, refused.wire)
        if not columns:
            return False
        column = " or ".join(columns)
        types = " or ".join(dict.fromkeys(self._lists.columns[each].name for each in columns))
        adds = refused.operation is Operation.ADD
        reason = Remark.REFUSED_BY_PINTEREST
        if refused.with_its_wire:
            reason = Remark.PHONES_REFUSED if adds else Remark.PHONE_REMOVAL_REFUSED
        self._tally.reject_late(column, reason, refused.line, was_added=adds)
        self._write(column, types, reason, Place(refused.line), row=None)
        # If Pinterest refuses all identities of the kind, no row is bad; the run fails at its end.
        if self.fails and not refused.with_its_wire:
            self._run.fail_later(self._failure(column, reason, Place(refused.line)))
        return True

    def _write(self, column: str, types: str, reason: Remark, place: Place, row: str | None) -> None:
        if self._file is not None:
            self._file.write(Reject(self._stream, *place, column, types, reason.value, row))

    def _failure(self, column: str, reason: Remark, place: Place) -> RejectedError:
        return RejectedError(
            f"Bad record on {place}, stream {self._stream}, column {column}: {reason.value}. The run ends here because "
            "`bad_records` is `fail`; rows before it are delivered. Correct the row at its source."
        )


@dataclass(frozen=True, slots=True)
class KeyedRejections:
    """Reports rejected values with the ledger's digest of their row's key.

    Attributes:
        rejections: writes the reports.
        writer: knows the digests; None if the stream has no identities.
        key_properties: the columns of the key.
    """

    rejections: Rejections
    writer: RowWriter | None
    key_properties: Sequence[str]

    def __call__(self, column: str, reason: Remark, place: Place, record: Mapping[str, Any]) -> None:
        """Report a rejected value.

        Raises:
            RejectedError: `bad_records` is `fail`.
            OutputError: the file cannot be written.
        """
        row = None
        if self.writer is not None and all(record.get(name) is not None for name in self.key_properties):
            row = self.writer.row_digest(record)
        self.rejections.report(column, reason, place, row)
