"""Sentences on a terminal."""

from __future__ import annotations

import io

import pytest

from target_pinterest_audience.text.wrapping import fitted, wrapped

ID = "1795977013027"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("short", ["short"]),
        ("twenty letters, ha.", ["twenty letters, ha."]),
        (f"It is the list {ID}.", ["It is the list", f"{ID}."]),
        (f"/a/path/that/is/wider/{ID} is not there", [f"/a/path/that/is/wider/{ID}", "is not there"]),
        ("- an item that takes two lines", ["- an item that takes", "  two lines"]),
        ("✗ ledger: it is not there", ["✗ ledger: it is not", "  there"]),
        ("   indented by three blanks", ["   indented by three", "   blanks"]),
        ("two  blanks stay", ["two  blanks stay"]),
        ("顧客名簿 顧客名簿 顧客名簿", ["顧客名簿 顧客名簿", "顧客名簿"]),
    ],
)
def test_lines_end_between_words(text: str, lines: list[str]) -> None:
    assert wrapped(text, 20).split("\n") == lines


def test_only_a_terminal_gets_line_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert fitted("It takes more than twenty.\nAnd two lines.", io.StringIO()).count("\n") == 1
    assert (
        fitted("It takes more than twenty.\nAnd two lines.", Terminal())
        == "It takes more than\ntwenty.\nAnd two lines."
    )
