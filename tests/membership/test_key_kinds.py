"""Which changes of a key's type leave its rows the same, and which would make each of them twice."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from target_pinterest_audience.membership.key_forms import FIRST_RULES, NEWEST_RULES
from target_pinterest_audience.membership.key_kinds import WORDS, clash
from target_pinterest_audience.membership.row_keys import Digester
from target_pinterest_audience.records.arrow_column import UuidBytes

UUID = uuid.UUID("ea7583cd-b890-48bc-8f00-0123456789ab")
MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def kinds(
    *values: Any, text_format: str | None = None, rules: int = NEWEST_RULES, known: Sequence[str] = ()
) -> set[str]:
    formats = {"k": text_format} if text_format is not None else {}
    rows = Digester(b"s" * 32, "r").rows("a", ("k",), formats, rules, {"k": known})
    rows.many(lambda _: values)
    together = rows.take_new_kinds().get("k", set())
    assert rows.take_new_kinds() == {}
    for value in values:
        rows({"k": value})
    assert rows.take_new_kinds() == {}
    return together | set(known)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], {"number"}),
        ([1, 1.5, Decimal("1.5")], {"number"}),
        (["1", "-2"], {"digits"}),
        (["1", "x"], {"digits", "text"}),
        (["01", "02"], {"odd_number", "text"}),
        (["1", "01"], {"digits", "odd_number", "text"}),
        (["x", "y"], {"text"}),
        ([b"x", b"1"], {"text", "digits"}),
        ([str(UUID), str(UUID).upper()], {"uuid_text"}),
        ([UUID, UuidBytes(UUID.bytes)], {"uuid"}),
        ([MOMENT], {"moment"}),
        ([True], {"boolean"}),
        ([[1], {}], {"other"}),
        ([1, "x", True], {"number", "text", "boolean"}),
        ([Decimal("0.123456789012345")], {"number"}),
        ([Decimal("0.1234567890123456"), 1.2345678901234567], {"number", "rounded"}),
        ([Decimal("9007199254740994.0")], {"number", "rounded"}),
        ([Decimal("9007199254740993.25")], {"number", "precise"}),
        ([Decimal("-1e-20"), Decimal("1e5000"), 1e300, Decimal("NaN"), 10**40], {"number"}),
        ([], set()),
    ],
)
def test_each_kind_of_value_is_distinguished_from_the_others(values: list[Any], expected: set[str]) -> None:
    assert kinds(*values) == expected
    assert expected <= WORDS.keys()


def test_the_schema_decides_the_kind_of_text() -> None:
    assert kinds("2026-01-01", text_format="date") == {"moment"}
    assert kinds("1.50", "2.0", b"3e0", text_format="number") == {"number"}
    assert kinds("1.50", "2", text_format="number") == {"number", "digits"}
    assert kinds("0.12345678901234567890", text_format="number") == {"number", "precise"}
    assert kinds("x", text_format="number") == {"text"}


@pytest.mark.parametrize(
    "text", ["infinity", "-Infinity", "0000-00-00 00:00:00", "20260-01-01", "2026-01-01 00:00:00.123456789"]
)
def test_text_that_is_not_a_moment_does_not_change_the_kind_of_a_column_of_moments(text: str) -> None:
    assert kinds(text, "2026-01-01", text_format="date-time") == {"moment"}
    assert kinds("01/02/2026", text_format="date-time") == {"text"}


def test_other_notations_of_numbers_are_recognised_where_there_were_numbers() -> None:
    for text in ("1.0", "+1", "1e3", "01"):
        assert "odd_number" in kinds("x", text, known=["number"])
        assert "odd_number" in kinds("x", "7", text, known=["number"])
    assert kinds("x", "1.0.0", known=["number"]) == {"number", "text"}


def test_the_first_rules_know_only_text() -> None:
    assert kinds("1", "01", str(UUID), "x", rules=FIRST_RULES) == {"text"}
    assert kinds(UUID, rules=FIRST_RULES) == {"uuid"}


ALLOWED = [
    ({"number"}, {"digits"}),
    ({"digits"}, {"number"}),
    ({"digits"}, {"text"}),
    ({"digits"}, {"odd_number", "text"}),
    ({"number", "digits"}, {"text"}),
    ({"text"}, {"digits"}),
    ({"text"}, {"uuid_text"}),
    ({"uuid_text"}, {"uuid"}),
    ({"uuid"}, {"uuid_text"}),
    ({"uuid_text"}, {"text"}),
    ({"number"}, {"precise"}),
    ({"number"}, {"rounded"}),
    ({"digits"}, {"number", "precise"}),
    ({"number"}, {"number", "digits"}),
    ({"text", "number"}, {"digits"}),
    (set(), {"number", "text", "moment"}),
    ({"number", "text"}, {"number"}),
]

REFUSED = [
    ({"number"}, {"text"}, "text"),
    ({"number"}, {"uuid_text"}, "uuid_text"),
    ({"number"}, {"odd_number", "text"}, "odd_number"),
    ({"number"}, {"digits", "odd_number", "text"}, "odd_number"),
    ({"number", "digits"}, {"odd_number"}, "odd_number"),
    ({"text"}, {"number"}, "number"),
    ({"text", "digits"}, {"number"}, "number"),
    ({"odd_number"}, {"number"}, "number"),
    ({"text"}, {"moment"}, "moment"),
    ({"moment"}, {"text"}, "text"),
    ({"moment"}, {"digits"}, "digits"),
    ({"moment"}, {"number"}, "number"),
    ({"number"}, {"moment"}, "moment"),
    ({"text"}, {"uuid"}, "uuid"),
    ({"uuid"}, {"text"}, "text"),
    ({"uuid"}, {"digits"}, "digits"),
    ({"boolean"}, {"number"}, "number"),
    ({"boolean"}, {"digits"}, "digits"),
    ({"number"}, {"boolean"}, "boolean"),
    ({"other"}, {"text"}, "text"),
    ({"text"}, {"other"}, "other"),
    ({"number", "precise"}, {"rounded"}, "rounded"),
    ({"number", "rounded"}, {"precise"}, "precise"),
]


@pytest.mark.parametrize(("former", "new"), ALLOWED)
def test_a_change_that_keeps_every_row_the_same_is_allowed(former: set[str], new: set[str]) -> None:
    assert clash(former, new, NEWEST_RULES) is None


@pytest.mark.parametrize(("former", "new", "kind"), REFUSED)
def test_a_change_that_would_duplicate_rows_is_refused(former: set[str], new: set[str], kind: str) -> None:
    assert clash(former, new, NEWEST_RULES) == kind


@pytest.mark.parametrize(
    ("former", "new"), [("number", "text"), ("text", "number"), ("uuid", "text"), ("text", "uuid"), ("moment", "text")]
)
def test_under_the_first_rules_any_other_type_would_duplicate_rows(former: str, new: str) -> None:
    assert clash({former}, {new}, FIRST_RULES) == new
    assert clash({former, new}, {former, new}, FIRST_RULES) is None
    assert clash(set(), {former, new}, FIRST_RULES) is None
