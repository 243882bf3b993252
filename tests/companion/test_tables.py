"""Tables: for a terminal of 80 columns, and for files."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable

import click
import pytest

from target_pinterest_audience.companion.commands.audiences import _SPARE as SPARE_OF_AUDIENCES
from target_pinterest_audience.companion.commands.audiences import AudienceRow
from target_pinterest_audience.companion.commands.lists import _SPARE as SPARE_OF_LISTS
from target_pinterest_audience.companion.output import show_alarm, show_fields, show_table, when

NOW = 1_796_000_000.0
LONG_ID = "1234567890123456789"
NAME = "Lapsed customers, no purchase within 24 months"
LIST_HEADINGS = (
    "id", "name", "status", "uploaded", "removed", "is_nca", "changed", "members", "rows", "matched", "match",
)  # fmt: skip
LIST = (LONG_ID, NAME, "TOO_SMALL", 9_999_999, 0, False, when(NOW - 7200), 1_234_567, 1_234_567, 999_999, "81.0 %")

Printed = Callable[..., str]


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Printed:
    """What a function prints on a terminal of some width."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def printed(function: Callable[[], None], *, width: int = 80, colours: bool = False) -> str:
        terminal = Terminal()
        with monkeypatch.context() as patched:
            patched.setenv("COLUMNS", str(width))
            patched.setattr(sys, "stdout", terminal)
            function()
        return terminal.getvalue() if colours else click.unstyle(terminal.getvalue())

    return printed


def lists() -> None:
    show_table(LIST_HEADINGS, [LIST], empty="", spare=SPARE_OF_LISTS)


def test_a_table_fits_into_80_columns_and_no_id_is_wrapped(on_terminal: Printed) -> None:
    lines = on_terminal(lists).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith(f"{LONG_ID}  Lapsed ")
    assert "TOO_SMALL" in lines[1]
    assert lines[-1] == "No room for: is_nca, removed, uploaded, changed, rows. --json has them."


def test_a_row_of_an_audience_fits_into_80_columns(on_terminal: Printed) -> None:
    row = AudienceRow(LONG_ID, NAME, "CUSTOMER_LIST", "TOO_SMALL", 999_999, LONG_ID, None, when(NOW))
    lines = on_terminal(lambda: show_table(row._fields, [row], empty="", spare=SPARE_OF_AUDIENCES)).splitlines()
    assert max(map(len, lines)) <= 80
    assert LONG_ID in lines[1]


def test_a_receipt_shows_when_it_was_even_on_a_terminal(on_terminal: Printed) -> None:
    receipt = (when(NOW), "1795977013027", NAME, "removed", "2656140636293324")
    shown = on_terminal(lambda: show_table(("at", "list", "name", "outcome", "request_ids"), [receipt], empty=""))
    assert str(receipt[0]) in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_wide_terminal_shows_every_column(on_terminal: Printed) -> None:
    lines = on_terminal(lists, width=160).splitlines()
    assert lines[0].split() == list(LIST_HEADINGS)
    assert "2 hours ago" in lines[1]
    assert len(lines) == 2


def test_a_terminal_that_is_too_narrow_breaks_lines_and_cuts_nothing(on_terminal: Printed) -> None:
    shown = on_terminal(lists, width=30)
    assert LONG_ID in shown
    assert "TOO_SMALL" in shown
    assert "81.0 %" in shown


def test_a_list_of_ids_is_wrapped_between_them(on_terminal: Printed) -> None:
    ids = f"{LONG_ID}, {LONG_ID[::-1]}"
    shown = on_terminal(lambda: show_table(("id", "audiences"), [[LONG_ID, ids]], empty=""), width=45)
    assert LONG_ID[::-1] in shown


def test_elsewhere_times_are_in_iso_8601_and_every_column_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lists()
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == list(LIST_HEADINGS)
    assert f" {LIST[6]} " in row


def test_a_file_gets_every_column_however_wide_the_table_is(capsys: pytest.CaptureFixture[str]) -> None:
    long = ("id", *(f"{'x' * 30}{n}" for n in range(9)))
    show_table(long, [[LONG_ID, *range(9)]], empty="", spare=long)
    heading, row = capsys.readouterr().out.splitlines()
    assert (heading.split(), row.split()[0]) == (list(long), LONG_ID)


def test_states_are_coloured_on_a_terminal_unless_no_color_is_set(
    on_terminal: Printed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\x1b[31mTOO_SMALL\x1b[0m" in on_terminal(lists, colours=True)
    assert "\x1b[32mREADY" in on_terminal(lambda: show_fields({"status": "READY"}), colours=True)
    assert "\x1b[1;31mtoo small" in on_terminal(lambda: show_alarm("too small"), colours=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in on_terminal(lists, colours=True)
    lists()
    assert "\x1b" not in capsys.readouterr().out


def test_fields_have_a_line_each(on_terminal: Printed) -> None:
    shown = on_terminal(lambda: show_fields({"id": "7", "changed": when(NOW - 60), "is_nca": None, "members": 1234}))
    assert [line.split(maxsplit=1) for line in map(str.rstrip, shown.splitlines())] == [
        ["id", "7"], ["changed", "1 minute ago"], ["is_nca", "-"], ["members", "1,234"],
    ]  # fmt: skip
