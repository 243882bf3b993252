"""What a run tells of itself: counts and reasons for the log, the file of rejects, and the report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from target_pinterest_audience.errors import OutputError, RejectedError, StreamError, outcome
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.reconcile.refused_members import RefusedMembers
from target_pinterest_audience.reporting.rejects_file import RejectsFile
from target_pinterest_audience.reporting.report_file import ReportFile, RunReport, moment
from target_pinterest_audience.reporting.stream_summary import report_of, sentences
from target_pinterest_audience.reporting.tally import tell_lists
from target_pinterest_audience.routing.orders import ListReport
from target_pinterest_audience.settings import EmptyStream, Settings
from target_pinterest_audience.text.redaction import redact

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.transport import Traffic


class RunLog:
    """Keeps the counts of a run, and tells them.

    Attributes:
        tallies: stream → its counts.
        rejects: takes rejected rows, if there is to be such a file.
        began: when the run began, in seconds since 1970.
        empty: whether the whole stream had neither a row nor a STATE.
    """

    def __init__(
        self, settings: Settings, program: str, version: str, logger: logging.Logger, now: Callable[[], float]
    ) -> None:
        """Prepare; no file is begun yet.

        Args:
            settings: the settings.
            program: the program's name.
            version: its version.
            logger: told all that people may want to know.
            now: seconds since 1970.
        """
        self.tallies: dict[str, StreamTally] = {}
        self.rejects: RejectsFile | None = None
        self._settings = settings
        self._program = program
        self._version = version
        self._logger = logger
        self._now = now
        self._report: ReportFile | None = None
        self.began = now()
        self.empty = False

    def begin(self) -> None:
        """Begin the files.

        Raises:
            ConfigurationError: one cannot be written.
        """
        settings = self._settings
        if settings.report_path is not None:
            begun = RunReport(f"{self._program} {self._version}", moment(self._now()), settings.dry_run)
            self._report = ReportFile(settings.report_path, begun)
        if settings.rejects_path is not None:
            self.rejects = RejectsFile(settings.rejects_path)

    def refuse_too_many_rejects(self) -> None:
        """Fail, after all good rows are delivered, if too many were bad.

        Raises:
            RejectedError: it is so.
        """
        received = sum(tally.received for tally in self.tallies.values())
        rejected = sum(tally.rejected for tally in self.tallies.values())
        percent = self._settings.max_rejected_percent
        if rejected * 100 > received * percent:
            msg = (
                f"{rejected:,} of {received:,} values were rejected: more than {percent} % (`max_rejected_percent`). "
                "The others are delivered. The lines about rejected columns say why; `rejects_path` gets each."
            )
            raise RejectedError(msg)

    def note_empty(self) -> None:
        """Warn, after a whole stream, that neither a row nor a STATE came.

        Raises:
            StreamError: `empty_stream` is `fail`.
        """
        self.empty = True
        words = (
            "No rows: the tap sent neither a row nor a STATE. A tap that died before its first row looks like this. "
            "Check its log."
        )
        if self._settings.empty_stream is EmptyStream.FAIL:
            msg = f"{words} If an empty stream is no mistake here, set `empty_stream: warn`."
            raise StreamError(msg)
        self._logger.warning("%s This run does not count as a success.", words)

    def check_balance(self) -> None:
        """Report a bug if something is not known to have become of every value."""
        for tally in self.tallies.values():
            if not tally.is_balanced:
                self._logger.error(
                    "This is a bug in %s: the counts of stream %s do not add up. Please report it with the lines "
                    "below. What was sent and removed is not affected.", self._program, tally.stream,
                )  # fmt: skip

    def warn_of_unused(self, lines: int, columns: Collection[str], names: Iterable[tuple[str, str]]) -> None:
        """Warn, after a whole stream, of settings that met nothing in it: they are likely misspelt.

        Args:
            lines: how many lines the stream had.
            columns: the identity columns that were found.
            names: settings, and the names of streams in them that met none.
        """
        for setting, stream in names:
            self._logger.warning(
                "`%s` has settings for %s, but no such stream came (%s did), so they were not used.",
                setting, stream, ", ".join(self.tallies) or "none",
            )  # fmt: skip
        if not lines:
            return
        for column in self._settings.default_stream.identity_columns.keys() - columns:
            self._logger.warning("No stream had the column %s that `identity_columns` names.", column)

    def warn_of_refused(self, lists: Iterable[RefusedMembers]) -> None:
        """Warn of lists that most members left by refusals.

        Args:
            lists: the lists, and how many members left each.
        """
        for each in lists:
            self._logger.warning("%s", each.told(dry=self._settings.dry_run))

    def tell_summary(self, lists: Iterable[ListReport], traffic: Traffic) -> None:
        """Tell what was read, rejected and sent.

        Args:
            lists: what was sent.
            traffic: how much was asked of Pinterest.
        """
        for tally in self.tallies.values():
            for level, line in sentences(tally):
                self._logger.log(level, "%s", line)
        for line in tell_lists(lists, dry=self._settings.dry_run):
            self._logger.info("%s", line)
        limits = f", {traffic.limited_seconds:,.0f} s of waiting for its rate limits" if traffic.limited_seconds else ""
        self._logger.info(
            "The run took %.1f s; requests to Pinterest: %s%s", self._now() - self.began, f"{traffic.calls:,}", limits
        )

    def close_rejects(self) -> None:
        """Close the file of rejects."""
        if self.rejects is not None:
            self.rejects.close()

    def outcome(self, ended_by: BaseException | None) -> tuple[int, str | None]:
        """Return the exit code of the run, and why it is not 0 if it is not.

        Args:
            ended_by: what ended the run before its end.
        """
        return (0, None) if ended_by is None else outcome(ended_by, self._program)

    def end_report(self, ended_by: BaseException | None, lists: Iterable[ListReport], traffic: Traffic) -> None:
        """Write how the run ended; that it cannot be written is a warning.

        Args:
            ended_by: what ended the run before its end.
            lists: what was sent.
            traffic: how much was asked of Pinterest.
        """
        if self._report is None:
            return
        code, words = self.outcome(ended_by)
        streams = [report_of(tally) for tally in self.tallies.values()]
        try:
            error = redact(words) if words else None
            self._report.end(code, error, traffic, streams, lists, self._now(), empty=self.empty)
        except OutputError as failure:
            self._logger.warning("%s", failure)
