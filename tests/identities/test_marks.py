"""What marks a row as deleted, and what is a yes: value by value, and column by column."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from msgspec import UNSET

from target_pinterest_audience.identities.marks import indices_where, is_granted, is_set, mark_columns
from target_pinterest_audience.records.arrow_column import values_of
from target_pinterest_audience.settings.stream_settings import DEFAULT_CONSENT_VALUES

NOT_SET: list[Any] = [
    None, UNSET, False, 0, 0.0, -0.0, Decimal(0), Decimal("0.00"), float("nan"), Decimal("NaN"), Decimal("sNaN"), [],
    {}, "", " ", "\t\n", "0", "0.0", "0.00", "-0", "00", "false", "FALSE", "f", "F", "no", "No", "n", "N", " n ", "off",
    "null", "NULL", "none", "None", "nan", "NaN", "undefined", "\\N", "\\n", "0000-00-00", "0000-00-00 00:00:00",
    "0000-00-00T00:00:00Z", "0000-00-00T00:00:00.000000+00:00", "00/00/0000", "0000-00-00 00:00:00 UTC", "\0",
    "0001-01-01T00:00:00Z", date(1, 1, 1), datetime(1, 1, 1, tzinfo=timezone.utc), b"", b"N", b"\0", b"0",
]  # fmt: skip
SET: list[Any] = [
    True, 1, 1.0, -1, 5, Decimal(1), Decimal("0.1"), "1", "1.0", "true", "t", "Y", "yes", "on", "deleted", "D", "x",
    "2026-11-21T00:00:00Z", "2026-11-21 00:00:00+00", "1970-01-01", "0010-01-01", "2000-00-00", "z", "-", "nobody",
    "01", b"Y", b"\1", "\1", date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone.utc), [0], {"at": None},
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_SET, ids=repr)
def test_words_for_not_deleted_are_not_marks(value: object) -> None:
    assert not is_set(value)


@pytest.mark.parametrize("value", SET, ids=repr)
def test_every_other_value_is_a_mark(value: object) -> None:
    assert is_set(value)


def test_a_column_gives_the_same_result_as_its_values() -> None:
    for values in (NOT_SET, SET, NOT_SET + SET, [*SET, *NOT_SET] * 3, [None] * 5, [UNSET] * 5, []):
        assert indices_where(is_set, values) == [at for at, value in enumerate(values) if is_set(value)]
    scalars = [value for value in NOT_SET + SET if value.__hash__ is not None and not _is_snan(value)]
    for values in (scalars, scalars[::-1]):
        assert indices_where(is_set, values) == [at for at, value in enumerate(values) if is_set(value)]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["N", None, "Y", "0", "2026-01-01", ""]),
        pa.array([None, None], pa.string()),
        pa.array([0, 1, None], pa.int8()),
        pa.array([None, None], pa.null()),
        pa.array([True, False, None]),
        pa.array([0.0, float("nan"), 1.0, None]),
        pa.array([Decimal("0.0"), Decimal("1.0"), None]),
        pa.array([b"N", b"Y", None]),
        pa.array(["N", "Y", None]).dictionary_encode(),
        pa.array([date(2026, 1, 1), date(1, 1, 1), None]),
    ],
    ids=lambda array: str(array.type),
)
def test_a_column_of_a_file_gives_the_same_result_as_its_values(array: pa.Array) -> None:
    expected = [at for at, value in enumerate(array.to_pylist()) if is_set(value)]
    assert indices_where(is_set, values_of(array)) == expected
    unsure = [at for at, value in enumerate(array.to_pylist()) if not is_granted(value, {"y"})]
    assert indices_where(lambda value: not is_granted(value, {"y"}), values_of(array)) == unsure


def _is_snan(value: object) -> bool:
    return isinstance(value, Decimal) and value.is_snan()


@pytest.mark.parametrize("value", [True, 1, 1.0, Decimal(1), Decimal("1.0"), *DEFAULT_CONSENT_VALUES, " YES ", b"yes"])
def test_consenting_values(value: object) -> None:
    assert is_granted(value, frozenset(DEFAULT_CONSENT_VALUES))


@pytest.mark.parametrize(
    "value",
    [None, UNSET, False, 0, 2, float("nan"), Decimal("NaN"), Decimal("sNaN"), "", "0", "no", "ja", "yes!", [], ["yes"]],
)
def test_all_other_values_refuse(value: object) -> None:
    assert not is_granted(value, frozenset(DEFAULT_CONSENT_VALUES))


@pytest.mark.parametrize("word", ["ja", "1"])
def test_own_words_replace_the_default_ones_but_true_and_1_always_mean_yes(word: str) -> None:
    words = frozenset({word})
    assert is_granted(f" {word.upper()}", words)
    assert is_granted(value=True, words=words)
    assert is_granted(1, words)
    assert not is_granted("yes", words)


@pytest.mark.parametrize(
    ("columns", "setting", "marks"),
    [
        (["id"], None, []),
        (["ID", "_SDC_DELETED_AT"], None, []),
        (["_Sdc_Deleted_At", "_sdc_deleted_at"], None, ["_Sdc_Deleted_At"]),
        (["Is_Deleted"], "is_deleted", ["Is_Deleted"]),
        (["Is_Deleted", "is_deleted"], "is_deleted", ["is_deleted"]),
        (["Is_Deleted", "IS_DELETED"], "is_deleted", ["Is_Deleted", "IS_DELETED"]),
        (["deleted_at", "_sdc_deleted_at"], "deleted_at", ["deleted_at"]),
        (["_SDC_DELETED_AT"], "_SDC_DELETED_AT", []),
        (["id"], "gone", []),
    ],
)
def test_marks_are_found_in_any_case_and_both_count(columns: list[str], setting: str | None, marks: list[str]) -> None:
    assert {*mark_columns(columns, setting)} == {*marks, "_sdc_deleted_at", "_SDC_DELETED_AT"}
