"""The summary's numbers are fields of log records."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from target_pinterest_audience.identities.remarks import Remark
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.ledger.catalogue.runs import RejectCounts
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.reporting.list_summary import list_lines
from target_pinterest_audience.reporting.stream_summary import stream_lines
from target_pinterest_audience.reporting.summary_line import SummaryLine
from target_pinterest_audience.routing.orders import ListReport

TAKEN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
OF_MELTANO = frozenset({"event", "level", "logger", "name", "plugin_exception", "plugin_logger", "timestamp"})
"""Meltano passes the fields on to a logger that has these already."""


def report(number: int) -> ListReport:
    return ListReport(
        chosen_by=f"id {number}", customer_list_id=str(number), name=f"List {number}", members=number,
        contributing_rows=None, matched=None, match_percent=None, status=None, added=number, removed=1,
        removals={"delete": 1}, refused=0, left_out=0, requests=1,
    )  # fmt: skip


def all_lines() -> Iterator[SummaryLine]:
    tally = StreamTally("customers", rows=20, deleted_rows=20, unmatched_deletes=20)
    tally.reject("email", Remark.NOT_AN_EMAIL, Place(7))
    yield from stream_lines(tally, {})
    yield from list_lines(map(report, range(30)), dry=False)


@pytest.mark.parametrize("line", [*all_lines()], ids=lambda line: line.text[:30])
def test_no_field_has_a_name_that_a_logger_uses_itself(line: SummaryLine) -> None:
    assert not line.fields.keys() & (TAKEN | OF_MELTANO)


def test_lists_without_a_line_of_their_own_are_added_up() -> None:
    *shown, rest = list_lines(map(report, range(30)), dry=True)
    assert [line.fields["added"] for line in shown] == list(range(29, 9, -1))
    assert rest.fields == {"summary": "other_lists", "dry_run": True, "lists": 10, "added": 45, "removed": 10}


@pytest.mark.parametrize(
    ("before", "level"),
    [
        ({}, logging.WARNING),
        ({("customers", "email", Remark.NOT_AN_EMAIL.value): 1}, logging.WARNING),
        ({("customers", "email", Remark.NOT_AN_EMAIL.value): 2}, logging.INFO),
        ({("customers", "mail", Remark.NOT_AN_EMAIL.value): 2}, logging.WARNING),
        ({("customers", "email", Remark.NOT_TEXT.value): 2}, logging.WARNING),
        ({("readers", "email", Remark.NOT_AN_EMAIL.value): 2}, logging.WARNING),
    ],
)
def test_rejected_values_are_a_warning_if_the_last_run_rejected_fewer(before: RejectCounts, level: int) -> None:
    tally = StreamTally("customers")
    for line in (7, 8):
        tally.reject("email", Remark.NOT_AN_EMAIL, Place(line))
    (found,) = [line for line in stream_lines(tally, before) if line.fields.get("summary") == "rejected"]
    assert found.level == level
    assert found.text.endswith("no more than in the last run)") == (level == logging.INFO)


def test_a_warning_has_the_stream_as_its_only_field() -> None:
    (warning,) = [line for line in all_lines() if "deletes matched a row" in line.text]
    assert (warning.level, warning.fields) == (logging.WARNING, {"stream_name": "customers"})
