"""What one run reports: the summary in the log, the file of rejected values, and the report file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

import msgspec

from target_pinterest_audience.errors import OutputError, RejectedError, StreamError, outcome
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.reconcile.refused_members import RefusedMembers
from target_pinterest_audience.reporting.json_lines import JsonLinesFile
from target_pinterest_audience.reporting.list_summary import list_lines
from target_pinterest_audience.reporting.metrics.metrics_file import MetricsFile
from target_pinterest_audience.reporting.rejects_file import RejectsFile
from target_pinterest_audience.reporting.report_file import ReportFile, RunReport, moment
from target_pinterest_audience.reporting.stream_summary import report_of, stream_lines
from target_pinterest_audience.reporting.summary_line import SummaryLine
from target_pinterest_audience.routing.orders import ListReport
from target_pinterest_audience.settings import EmptyStream, Settings
from target_pinterest_audience.text.redaction import redact

if TYPE_CHECKING:
    from target_pinterest_audience.ledger.catalogue.runs import RejectCounts
    from target_pinterest_audience.pinterest.request import Traffic


class RunLog:
    """Keeps the counts of a run, and reports them in the log and in files.

    Attributes:
        tallies: stream → its counts.
        rejects: the file of rejected values; None unless `rejects_path` is set.
        held_out: the file of rows that are held out; None unless `holdout_path` is set.
        began: Unix time when the run began.
        empty: whether the tap sent neither a row nor a STATE.
    """

    def __init__(
        self, settings: Settings, program: str, version: str, logger: logging.Logger, now: Callable[[], float]
    ) -> None:
        """Note when the run begins; `begin` opens the files.

        Args:
            settings: the settings.
            program: the program's name.
            version: its version.
            logger: the run's.
            now: Unix time in seconds.
        """
        self.tallies: dict[str, StreamTally] = {}
        self.rejects: RejectsFile | None = None
        self.held_out: JsonLinesFile | None = None
        self._settings = settings
        self._program = program
        self._version = version
        self._logger = logger
        self._now = now
        self._files: list[ReportFile | MetricsFile] = []
        """The files that get the report of the run when it ends."""
        self.began = now()
        self.empty = False

    def begin(self) -> None:
        """Open the files about the run and the files of rows, as far as the settings ask for them.

        Raises:
            ConfigurationError: one of them cannot be written.
        """
        settings = self._settings
        if settings.report_path is not None:
            self._files.append(ReportFile(settings.report_path, self._begun_report()))
        if settings.metrics_path is not None:
            self._files.append(MetricsFile(settings.metrics_path))
        if settings.rejects_path is not None:
            self.rejects = RejectsFile(settings.rejects_path)
        if settings.holdout_path is not None:
            self.held_out = JsonLinesFile(settings.holdout_path, "holdout_path")

    def check_rejected_share(self) -> None:
        """Check, once all valid values are delivered, that not too many were rejected.

        Raises:
            RejectedError: more than `max_rejected_percent` of the values were rejected.
        """
        received = sum(tally.received for tally in self.tallies.values())
        rejected = sum(tally.rejected for tally in self.tallies.values())
        percent = self._settings.max_rejected_percent
        if rejected * 100 > received * percent:
            msg = (
                f"{rejected:,} of {received:,} values were rejected: more than {percent} % (`max_rejected_percent`). "
                "All other values were delivered. The log lines about rejected values give the reasons; set "
                "`rejects_path` to list every rejected value by line and column."
            )
            raise RejectedError(msg)

    def warn_of_empty_stream(self) -> None:
        """Warn, at the end of the stream, that it had neither a row nor a STATE.

        Raises:
            StreamError: `empty_stream` is `fail`.
        """
        self.empty = True
        words = (
            "No rows: the tap sent neither a row nor a STATE. It may have failed before its first row; check its log."
        )
        if self._settings.empty_stream is EmptyStream.FAIL:
            msg = f"{words} If an empty stream is normal here, set `empty_stream: warn`."
            raise StreamError(msg)
        self._logger.warning("%s This run does not count as a success.", words)

    def check_balance(self) -> None:
        """Log that there is a bug if the outcomes of a stream's values do not add up to the values that were read."""
        for tally in self.tallies.values():
            if not tally.is_balanced:
                self._logger.error(
                    "This is a bug in %s: the counts of stream %s do not add up. Please report it with the lines "
                    "below. Additions and removals are not affected.", self._program, tally.stream,
                )  # fmt: skip

    def warn_of_unused_settings(self, lines: int, columns: Collection[str], names: Iterable[tuple[str, str]]) -> None:
        """Warn, at the end of the stream, of settings that matched nothing in it: they may be misspelt.

        Args:
            lines: how many lines the stream had.
            columns: the identity columns that were found.
            names: pairs of a setting and a stream name in it that no stream of the run has.
        """
        for setting, stream in names:
            self._logger.warning(
                "`%s` has settings for %s, but the input had no such stream (it had: %s). They were not used.",
                setting, stream, ", ".join(self.tallies) or "none",
            )  # fmt: skip
        if not lines:
            return
        for column in self._settings.default_stream.identity_columns.keys() - columns:
            self._logger.warning("No stream had the column %s, which `identity_columns` names.", column)

    def warn_of_refused(self, lists: Iterable[RefusedMembers]) -> None:
        """Warn of lists that lost most of their members because rows refuse them."""
        for each in lists:
            self._logger.warning("%s", each.told(dry=self._settings.dry_run))

    def log_summary(self, lists: Iterable[ListReport], traffic: Traffic, rejects_before: RejectCounts) -> None:
        """Log what was read, rejected and sent.

        Args:
            lists: what was sent to each list.
            traffic: requests to Pinterest, and how long they waited.
            rejects_before: the values that the last run rejected.
        """
        seconds = self._now() - self.began
        limits = f", {traffic.limited_seconds:,.0f} s of waiting for its rate limits" if traffic.limited_seconds else ""
        lines = [
            *(line for tally in self.tallies.values() for line in stream_lines(tally, rejects_before)),
            *list_lines(lists, dry=self._settings.dry_run),
            SummaryLine(
                f"The run took {seconds:.1f} s; requests to Pinterest: {traffic.calls:,}{limits}",
                {
                    "summary": "run",
                    "dry_run": self._settings.dry_run,
                    "seconds": round(seconds, 1),
                    "calls": traffic.calls,
                    "limited_seconds": round(traffic.limited_seconds, 1),
                },
            ),
        ]
        for line in lines:
            line.log(self._logger)

    def close_files(self) -> None:
        """Close the files of rows."""
        for file in (self.rejects, self.held_out):
            if file is not None:
                file.close()

    def outcome(self, ended_by: BaseException | None) -> tuple[int, str | None]:
        """Return the exit code of the run, and the error message if the run failed.

        Args:
            ended_by: what ended the run early; None if it ran to its end.
        """
        return (0, None) if ended_by is None else outcome(ended_by, self._program)

    def end_report(self, ended_by: BaseException | None, lists: Iterable[ListReport], traffic: Traffic) -> None:
        """Write how the run ended to the files about the run; if that fails, log a warning.

        Args:
            ended_by: what ended the run early; None if it ran to its end.
            lists: what was sent to each list.
            traffic: requests to Pinterest, and how long they waited.
        """
        if not self._files:
            return
        code, words = self.outcome(ended_by)
        report = msgspec.structs.replace(
            self._begun_report(), finished_at=moment(self._now()), exit_code=code,
            error=redact(words) if words else None, calls=traffic.calls,
            limited_seconds=round(traffic.limited_seconds, 1),
            streams=[report_of(tally) for tally in self.tallies.values()], lists=list(lists), empty=self.empty,
        )  # fmt: skip
        for file in self._files:
            self._end(file, report)

    def _end(self, file: ReportFile | MetricsFile, report: RunReport) -> None:
        try:
            file.end(report)
        except OutputError as failure:
            self._logger.warning("%s", failure)

    def _begun_report(self) -> RunReport:
        return RunReport(f"{self._program} {self._version}", moment(self.began), self._settings.dry_run)
