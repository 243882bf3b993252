"""The report of a run, for machines: what was read, what became of it, and how it ended. Never a value of a record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.routing.orders import ListReport
from target_pinterest_audience.system.private_files import replace
from target_pinterest_audience.text.safe_text import safe_json

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.transport import Traffic


class RemarkReport(msgspec.Struct, frozen=True):
    """What was said of a column's values.

    Attributes:
        column: the column.
        reason: what was said, as a sentence for people.
        count: of how many values.
        first_line: the line of the stream where the first of them is, from 1; see `places.Place`.
        first_file_row: and its row in the files that this line names, if it is a BATCH message.
    """

    column: str
    reason: str
    count: int
    first_line: int
    first_file_row: int | None = None


class StreamReport(msgspec.Struct, frozen=True):
    """What was read of one stream.

    `received` is the sum of `added`, `unchanged`, `duplicate`, `refused`, `rejected` and `named_for_removal`.

    Attributes:
        stream: its name, after stream maps.
        rows: its rows.
        deleted_rows: those of them that the source has deleted.
        unmatched_deletes: those of the deleted rows that the ledger does not know, in a source that it knows.
        received: values, good or bad; what is empty or opted out is none.
        added: identities that were to be added.
        unchanged: identities that were on the list already.
        duplicate: identities that waited already, or that a later record of the row took back.
        refused: identities that a row refuses.
        named_for_removal: identities that were to be removed by name.
        rejected: values that were no identities, or that Pinterest refused.
        rejects: why values were rejected, the most frequent first.
        notes: what else there was to say.
    """

    stream: str
    rows: int
    deleted_rows: int
    unmatched_deletes: int
    received: int
    added: int
    unchanged: int
    duplicate: int
    refused: int
    named_for_removal: int
    rejected: int
    rejects: list[RemarkReport]
    notes: list[RemarkReport]


class RunReport(msgspec.Struct, frozen=True):
    """One run.

    Attributes:
        program: the target and its version.
        started_at: when, in UTC.
        dry_run: whether nothing was sent.
        finished_at: when it ended; None while it goes on, and for good if it was killed.
        exit_code: how it ended; None likewise.
        error: why, in one sentence, if it did not end well.
        calls: requests to Pinterest, each attempt counted.
        limited_seconds: how long requests waited for Pinterest's rate limits, those of several lists added up.
        streams: what was read.
        lists: what was sent.
        empty: whether neither a row nor a STATE came, so that the run is no success although its exit code is 0.
    """

    program: str
    started_at: datetime
    dry_run: bool
    finished_at: datetime | None = None
    exit_code: int | None = None
    error: str | None = None
    calls: int = 0
    limited_seconds: float = 0.0
    streams: list[StreamReport] = []
    lists: list[ListReport] = []
    empty: bool = False


class ReportFile:
    """The file that `report_path` names. Each run replaces it twice: when it begins and when it ends."""

    def __init__(self, path: Path, begun: RunReport) -> None:
        """Write that a run has begun, so that one that is killed does not leave the report of another.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        self._path = path
        self._begun = begun
        try:
            self._write(begun)
        except OSError as error:
            msg = f"The file that `report_path` names cannot be written ({error.strerror})."
            raise ConfigurationError(msg) from None

    def end(
        self,
        exit_code: int,
        error: str | None,
        traffic: Traffic,
        streams: Iterable[StreamReport],
        lists: Iterable[ListReport],
        now: float,
        *,
        empty: bool,
    ) -> None:
        """Write how the run ended.

        Args:
            exit_code: the process's.
            error: what went wrong, if anything did.
            traffic: how much was asked of Pinterest.
            streams: what was read.
            lists: what was sent.
            now: seconds since 1970.
            empty: whether neither a row nor a STATE came.

        Raises:
            OutputError: the file cannot be written any more.
        """
        ended = msgspec.structs.replace(
            self._begun, finished_at=moment(now), exit_code=exit_code, error=error, calls=traffic.calls,
            limited_seconds=round(traffic.limited_seconds, 1), streams=list(streams), lists=list(lists),
            empty=empty,
        )  # fmt: skip
        try:
            self._write(ended)
        except OSError as failure:
            msg = f"The report of the run could not be written ({failure.strerror}). The run itself is not affected."
            raise OutputError(msg) from None

    def _write(self, report: RunReport) -> None:
        content = safe_json(msgspec.json.format(msgspec.json.encode(report), indent=2))
        replace(self._path, content + b"\n")


def moment(seconds: float) -> datetime:
    """Return a moment, given in seconds since 1970, as reports hold it."""
    return datetime.fromtimestamp(int(seconds), timezone.utc)
