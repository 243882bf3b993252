"""A run of the target from its beginning to its end, whether it succeeds or fails."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from target_pinterest_audience.errors import (
    LedgerError,
    RejectedError,
    RemovalCeilingError,
    StreamError,
    TargetError,
    Terminated,
)
from target_pinterest_audience.reporting.alerts.notifier import make_notifier
from target_pinterest_audience.reporting.progress import Snapshot, share_of_file
from target_pinterest_audience.run.exceeded import large_removal, with_uses

if TYPE_CHECKING:
    from target_pinterest_audience.reconcile.refused_members import RefusedMembers
    from target_pinterest_audience.reporting.alerts.notifier import Notifier
    from target_pinterest_audience.routing.orders import ListReport
    from target_pinterest_audience.singer.configuration import ConfiguredTarget


class Lifecycle:
    """Runs a target once: begins its files, reads the input, reports the results and sends alerts."""

    def __init__(self, target: ConfiguredTarget) -> None:
        """Prepare.

        Args:
            target: the target.
        """
        self._target = target
        self._run_log = target.run_log
        self._notifier: Notifier | None = None
        self._ended_by: BaseException | None = None
        self._refused: list[RefusedMembers] = []
        self._lists: list[ListReport] = []

    def run(self, file_input: IO[str] | None = None) -> None:
        """Read the input to its end, deliver its rows, and end the run.

        Args:
            file_input: the input; None for standard input.

        Raises:
            TargetError: the run failed. Rows before a malformed line or a rejected value are delivered.
        """
        try:
            self._begin(file_input)
            self._read(file_input)
        except BaseException as error:
            self._ended_by = error
            raise
        finally:
            self._end()

    def _begin(self, file_input: IO[str] | None) -> None:
        target = self._target
        self._notifier = make_notifier(target.settings.notify_urls)
        self._run_log.begin()
        if file_input is None and sys.stdin is not None and sys.stdin.isatty():
            target.logger.warning(
                "Standard input is a terminal: waiting for Singer messages. Pipe a tap into the target, or name a file "
                "with `--input`. Ctrl-D ends the input."
            )

        def look() -> Snapshot:
            rows = sum(tally.rows for tally in list(self._run_log.tallies.values()))
            return target.current_run.progress(rows, share_of_file(file_input or sys.stdin))

        target.output.show_progress(look)

    def _read(self, file_input: IO[str] | None) -> None:
        target = self._target
        try:
            target.listen(file_input)
            self._warn_of_removals()
        except (StreamError, RejectedError) as failure:
            # The rows before the malformed line or the rejected value are good.
            try:
                target.current_run.flush()
            except TargetError:
                target.logger.error("%s", failure)  # noqa: TRY400 - the other error is raised, and logged by the command
                raise
            raise
        except RemovalCeilingError as failure:
            raise with_uses(failure, target.current_run.delivery.client) from None

    def _end(self) -> None:
        """Take the last steps in order. The others follow even if one fails, or is ended by a second signal."""
        run = self._target.current_run
        steps: list[Callable[[], None]] = [
            run.stop,
            self._target.output.hide_progress,
            self._warn_of_refusals,
            self._log_summary,
            self._run_log.close_files,
            self._write_report,
            self._write_history,
            run.close,
            self._send_alerts,
        ]
        with contextlib.ExitStack() as stack:
            # An exit stack calls the last callback first, and every one whatever the others raise.
            for step in reversed(steps):
                stack.callback(step)

    def _warn_of_removals(self) -> None:
        """Warn of lists in use that more people left than usual: only then is Pinterest asked for the uses."""
        run, dry = self._target.current_run, self._target.settings.dry_run
        for list_id, many in run.large_removals():
            warning = large_removal(list_id, many, run.delivery.client, dry=dry)
            if warning is not None:
                self._target.logger.warning("%s", warning)

    def _warn_of_refusals(self) -> None:
        self._refused = self._target.current_run.mass_refusals()
        self._run_log.warn_of_refused(self._refused)

    def _log_summary(self) -> None:
        run = self._target.current_run
        self._run_log.log_summary(run.lists(), run.delivery.traffic, run.rejects_before)

    def _write_report(self) -> None:
        self._lists = self._target.current_run.lists()
        self._run_log.end_report(self._ended_by, self._lists, self._target.current_run.delivery.traffic)

    def _write_history(self) -> None:
        """Write the run to the ledger's history. If that fails, log a warning."""
        code, error = self._run_log.outcome(self._ended_by)
        tallies, empty = self._run_log.tallies.values(), self._run_log.empty
        try:
            self._target.current_run.end_history(code, tallies, empty=empty, error=error)
        except LedgerError as failure:
            if not isinstance(self._ended_by, LedgerError):
                self._target.logger.warning("The end of this run is missing from the history of runs. %s", failure)

    def _send_alerts(self) -> None:
        """Send the alerts that are due; none after a signal, when there is no time for them."""
        if self._notifier is None or isinstance(self._ended_by, Terminated):
            return
        # Imported here, since only runs with alerts need them.
        from target_pinterest_audience.ledger.history import RUN  # noqa: PLC0415
        from target_pinterest_audience.reporting.alerts.ending import send_alerts  # noqa: PLC0415
        from target_pinterest_audience.reporting.alerts.rules import RunResult  # noqa: PLC0415

        code, error = self._run_log.outcome(self._ended_by)
        tallies = self._run_log.tallies.values()
        ended = RunResult(
            RUN,
            code,
            error,
            received=sum(tally.received for tally in tallies),
            rejected=sum(tally.rejected for tally in tallies),
            sign_in_seconds=self._target.current_run.delivery.sign_in_seconds,
            nobody_consents=tuple(each for tally in tallies if (each := tally.nobody_consents) is not None),
            empty=self._run_log.empty,
            refused=tuple(self._refused),
        )
        send_alerts(
            self._notifier, self._target.settings, ended, self._lists, self._run_log.began, logger=self._target.logger
        )
