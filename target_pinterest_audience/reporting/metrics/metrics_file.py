"""The file at `metrics_path`: the figures of the last run, for the textfile collector of Prometheus's node_exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from target_pinterest_audience.errors import ConfigurationError, OutputError
from target_pinterest_audience.reporting.metrics.exposition import parse, render
from target_pinterest_audience.reporting.metrics.run_metrics import run_metrics
from target_pinterest_audience.reporting.report_file import RunReport
from target_pinterest_audience.system.private_files import check_replaceable, replace

_MODE: Final = 0o644
"""The collector runs as another user."""


class MetricsFile:
    """The file at `metrics_path`. Each run replaces it when it ends."""

    def __init__(self, path: Path) -> None:
        """Check that the file can be written. Until the run ends, the file keeps the figures of the run before it.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        self._path = path
        try:
            check_replaceable(path)
        except OSError as error:
            msg = f"The file at `metrics_path` cannot be written ({error.strerror})."
            raise ConfigurationError(msg) from None

    def end(self, report: RunReport) -> None:
        """Write the figures of a run that has ended, except a dry run, in which nothing happened.

        Raises:
            OutputError: the file cannot be written any more.
        """
        if report.dry_run:
            return
        try:
            text = render(run_metrics(report, parse(self._read())), self._path.name.removesuffix(".prom"))
            replace(self._path, text.encode(), _MODE)
        except OSError as failure:
            msg = f"The metrics of the run could not be written ({failure.strerror}). The run itself is not affected."
            raise OutputError(msg) from None

    def _read(self) -> str:
        """Return what the file holds, which may be of another program."""
        try:
            return self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
