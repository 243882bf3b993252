"""Which metrics a run has, and where their values come from. Pure.

All are gauges: the file describes one run, and the next run starts again from zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from target_pinterest_audience.reporting.metrics.exposition import Gauge, Labels, Samples, shown
from target_pinterest_audience.reporting.report_file import RunReport, StreamReport
from target_pinterest_audience.routing.orders import ListReport

_OUTCOMES: Final = ("added", "unchanged", "duplicate", "refused", "named_for_removal", "held_out", "rejected")
_LAST_SUCCESS: Final = "last_success_timestamp_seconds"
_LAST_ROWS: Final = "last_rows_timestamp_seconds"


def run_metrics(report: RunReport, before: Mapping[str, Samples]) -> Iterator[Gauge]:
    """Yield the metrics of a run.

    Args:
        report: the report of the run, which has ended.
        before: the samples of the run before it, by the names of the metrics.
    """
    yield from _of_run(report, before.get(_LAST_SUCCESS, {}))
    yield from _of_streams(report, before.get(_LAST_ROWS, {}))
    yield from _of_lists(report.lists)


def _of_run(report: RunReport, last_success: Samples) -> Iterator[Gauge]:
    ended = _ended(report)
    yield Gauge("run_exit_code", "The exit code of the last run; 0 is success.", {(): report.exit_code or 0})
    yield Gauge("run_end_timestamp_seconds", "When the last run ended, as Unix time.", {(): ended})
    duration = ended - report.started_at.timestamp()
    yield Gauge("run_duration_seconds", "How long the last run took.", {(): duration})
    yield Gauge(
        _LAST_SUCCESS,
        "When the last run ended that had the exit code 0 and received a row or a STATE, as Unix time.",
        {(): ended} if _succeeded(report) else _not_after(last_success, ended),
    )
    yield Gauge("run_requests", "Requests to Pinterest in the last run, retries included.", {(): report.calls})
    yield Gauge(
        "run_rate_limit_wait_seconds",
        "How long requests of the last run waited for Pinterest's rate limits, added up over all lists.",
        {(): report.limited_seconds},
    )


def _of_streams(report: RunReport, last_rows: Samples) -> Iterator[Gauge]:
    ended = _ended(report)
    streams = {_of_stream(each): each for each in report.streams}
    yield Gauge("run_rows", "Rows that the last run read.", {labels: stream.rows for labels, stream in streams.items()})
    yield Gauge(
        "run_values",
        "Values that the last run read, by what became of them.",
        {
            (*labels, ("outcome", outcome)): getattr(stream, outcome)
            for labels, stream in streams.items()
            for outcome in _OUTCOMES
        },
    )
    # A stream that is gone keeps its time only while runs fail: nobody could end an alert about it otherwise.
    earlier = _not_after(last_rows, ended)
    kept = {labels: time for labels, time in earlier.items() if labels in streams or not _succeeded(report)}
    now = {labels: ended for labels, stream in streams.items() if stream.rows}
    yield Gauge(_LAST_ROWS, "When the last run ended that read a row of the stream, as Unix time.", {**kept, **now})


def _of_lists(lists: list[ListReport]) -> Iterator[Gauge]:
    def samples(figure: str) -> dict[Labels, float]:
        return {_of_list(each): getattr(each, figure) for each in lists if getattr(each, figure) is not None}

    yield Gauge("run_added_identities", "Identities that Pinterest added to a list in the last run.", samples("added"))
    yield Gauge(
        "run_removed_identities", "Identities that Pinterest removed from a list in the last run.", samples("removed")
    )
    yield Gauge(
        "run_refused_identities", "Identities that Pinterest refused one by one in the last run.", samples("refused")
    )
    yield Gauge("list_members", "Identities that belong on a list, by the ledger.", samples("members"))
    yield Gauge("list_rows", "Rows that contribute to a list, by the ledger.", samples("contributing_rows"))
    yield Gauge("list_matched_people", "People on a list whom Pinterest recognises.", samples("matched"))
    yield Gauge(
        "list_match_ratio",
        "Matched people as a share of the rows that contribute to a list; it can exceed 1.",
        {labels: percent / 100 for labels, percent in samples("match_percent").items()},
    )


def _of_stream(stream: StreamReport) -> Labels:
    return (("stream", shown(stream.stream)),)


def _of_list(report: ListReport) -> Labels:
    return ("list", shown(report.name or report.chosen_by)), ("list_id", report.customer_list_id or "")


def _succeeded(report: RunReport) -> bool:
    return report.exit_code == 0 and not report.empty


def _ended(report: RunReport) -> float:
    return (report.finished_at or report.started_at).timestamp()


def _not_after(samples: Samples, now: float) -> Samples:
    """Return the times that are not in the future: a clock that was once ahead must not hide failures."""
    return {labels: time for labels, time in samples.items() if time <= now}
