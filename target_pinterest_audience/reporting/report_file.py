"""The JSON report of a run: what was read, what was sent, and how the run ended. It never holds a value of a record."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import msgspec

from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.routing.orders import ListReport
from target_pinterest_audience.system.private_files import replace
from target_pinterest_audience.text.safe_text import safe_json


class RemarkReport(msgspec.Struct, frozen=True):
    """A remark about values of one column.

    Attributes:
        column: the column.
        reason: the remark, as a sentence.
        count: how many values it is about.
        first_line: the line of the stream with the first of them, from 1.
        first_file_row: if that line is a BATCH message, the row in its files, from 1.
    """

    column: str
    reason: str
    count: int
    first_line: int
    first_file_row: int | None = None


class StreamReport(msgspec.Struct, frozen=True):
    """What was read from one stream.

    `received` is the sum of `added`, `unchanged`, `duplicate`, `refused`, `rejected`, `named_for_removal` and
    `held_out`.

    Attributes:
        stream: its name, after stream maps.
        rows: rows that were read.
        deleted_rows: those that are marked as deleted.
        unmatched_deletes: deleted rows that the ledger does not know, in a source that it knows.
        held_out_rows: rows whose person is held out.
        received: values that were read, valid or not; empty and opted-out values do not count.
        added: identities to add.
        unchanged: identities that were on the list already.
        duplicate: identities that were queued already, or that a later record of the same row took back.
        refused: identities that a row refuses, or that another row holds out.
        named_for_removal: identities that a row asks to remove.
        held_out: identities in rows whose person is held out.
        rejected: values that are not valid identities, or that Pinterest refused.
        rejects: why values were rejected, most frequent first.
        notes: other remarks about values.
    """

    stream: str
    rows: int
    deleted_rows: int
    unmatched_deletes: int
    held_out_rows: int
    received: int
    added: int
    unchanged: int
    duplicate: int
    refused: int
    named_for_removal: int
    held_out: int
    rejected: int
    rejects: list[RemarkReport]
    notes: list[RemarkReport]


class RunReport(msgspec.Struct, frozen=True):
    """One run.

    Attributes:
        program: the target and its version.
        started_at: when it began, in UTC.
        dry_run: whether it was a dry run, which sends nothing.
        finished_at: when it ended, in UTC; None while it is running, and for good if it was killed.
        exit_code: the exit code of the process; None like `finished_at`.
        error: why it failed; None if it did not.
        calls: requests to Pinterest; each attempt counts.
        limited_seconds: how long requests waited for Pinterest's rate limits, added up over all lists.
        streams: what was read from each stream.
        lists: what was sent to each list.
        empty: whether the tap sent neither a row nor a STATE: such a run is no success, although its exit code is 0.
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
    """The file at `report_path`. Each run replaces it twice: when it begins and when it ends."""

    def __init__(self, path: Path, begun: RunReport) -> None:
        """Write that the run has begun, so that a run that is killed does not leave an earlier run's report.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        self._path = path
        try:
            self._write(begun)
        except OSError as error:
            msg = f"The file at `report_path` cannot be written ({error.strerror})."
            raise ConfigurationError(msg) from None

    def end(self, report: RunReport) -> None:
        """Write the report of the run, which has ended.

        Raises:
            OutputError: the file cannot be written any more.
        """
        try:
            self._write(report)
        except OSError as failure:
            msg = f"The report of the run could not be written ({failure.strerror}). The run itself is not affected."
            raise OutputError(msg) from None

    def _write(self, report: RunReport) -> None:
        content = safe_json(msgspec.json.format(msgspec.json.encode(report), indent=2))
        replace(self._path, content + b"\n")


def moment(seconds: float) -> datetime:
    """Return a Unix time as reports hold it: in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), timezone.utc)
