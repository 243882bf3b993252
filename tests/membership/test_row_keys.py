"""How the ledger knows a row: one form of a key, whatever it came in; a digest that tells nobody what it was."""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from target_pinterest_audience.membership.key_forms import FIRST_RULES, NEWEST_RULES, canonical, formats_of
from target_pinterest_audience.membership.row_keys import ROW_BYTES, Digester
from target_pinterest_audience.records.arrow_column import UuidBytes

UTC = timezone.utc
SECOND = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
UUID = "ea7583cd-b890-48bc-8f00-0123456789ab"


@pytest.mark.parametrize(
    "same",
    [
        [1, 1.0, Decimal(1), Decimal("1.000"), Decimal("1e0"), Decimal("0.1e1")],
        [0, -0.0, 0.0, Decimal("-0"), Decimal("0e400000000")],
        [100, Decimal("1e2"), 1e2, Decimal("100.0")],
        [-7, -7.0, Decimal("-7.00")],
        [0.1, Decimal("0.1"), Decimal("0.10"), Decimal("1e-1")],
        [10**25, 1e25, Decimal("1e25")],
        [10**4200, Decimal("1e4200")],
        [Decimal("1e5000"), Decimal("10e4999"), Decimal("1.00e5000")],
        ["text", b"text"],
    ],
)
@pytest.mark.parametrize("rules", [FIRST_RULES, NEWEST_RULES])
def test_numbers_of_one_value_and_text_in_any_encoding_have_one_form(same: list[object], rules: int) -> None:
    assert len({canonical(value, rules=rules) for value in same}) == 1


@pytest.mark.parametrize(
    "same",
    [
        [1, "1", b"1", Decimal("1.0"), 1.0],
        [0, "0"],
        [-7, "-7", -7.0],
        [10**30, "1" + 30 * "0", Decimal("1e30")],
        [10**4299, "1" + 4299 * "0", Decimal("1e4299")],
        [uuid.UUID(UUID), UuidBytes(uuid.UUID(UUID).bytes), UUID, UUID.upper(), UUID.upper().encode()],
    ],
)
def test_the_text_of_an_integer_or_of_a_uuid_equals_it(same: list[object]) -> None:
    assert len({canonical(value) for value in same}) == 1
    if all(isinstance(value, str) for value in same[1:2]):
        assert canonical(same[0], rules=FIRST_RULES) != canonical(same[1], rules=FIRST_RULES)


@pytest.mark.parametrize(
    "text",
    ["01", "-0", "+1", " 1", "1 ", "1\n", "1.0", "1e0", "", "-", "--1", "1_000", "\u0661", "0x1", "1" + 4300 * "0"],
)
def test_text_that_is_not_written_as_an_integer_stays_text(text: str) -> None:
    assert canonical(text) == canonical(text, rules=FIRST_RULES)
    assert digest({"id": text}) == Digester(b"s" * 32, "r").rows("a", ("id",), {}, FIRST_RULES)({"id": text})


@pytest.mark.parametrize("text", [UUID.replace("-", "").upper(), UUID.upper() + "0", f"{{{UUID.upper()}}}", "ABC"])
def test_other_text_differs_in_upper_and_lower_case(text: str) -> None:
    assert canonical(text) != canonical(text.lower())
    assert digest({"id": text}) != digest({"id": text.lower()})


def test_the_text_of_a_number_equals_it_where_the_schema_says_that_it_is_one() -> None:
    one_and_a_half = ["1.50", "1.5", "01.5", "+1.5", "15e-1", Decimal("1.5"), 1.5]
    assert len({canonical(value, "number") for value in one_and_a_half}) == 1
    assert len({canonical(value) for value in one_and_a_half}) == 6
    assert canonical("1.00", "number") == canonical(1)
    assert canonical("NaN", "number") == canonical(Decimal("NaN"))
    for text in ("abc", "1.5.0", "1,5", ".", "1e" + 30 * "9"):
        assert canonical(text, "number") == canonical(text)


@pytest.mark.parametrize("kind", ["date-time", None])
def test_moments_have_one_form_if_the_schema_declares_them(kind: str | None) -> None:
    texts = [
        "2026-01-01T00:00:01.000000+00:00", "2026-01-01 00:00:01+00", "2026-01-01T00:00:01Z", "2026-01-01 00:00:01",
        "2026-01-01T01:00:01+01:00", "2025-12-31T19:00:01-05:00", "2026-01-01T00:00:01.0000000+00:00",
    ]  # fmt: skip
    moments = [SECOND, SECOND.replace(tzinfo=None), SECOND.astimezone(timezone(timedelta(hours=9)))]
    forms = {canonical(value, kind) for value in [*texts, *moments]}
    assert len(forms) == (1 if kind else len(texts) + 1)


def test_dates_and_times_equal_their_texts() -> None:
    assert canonical("2026-01-01", "date") == canonical(date(2026, 1, 1)) == canonical("2026-01-01", "date-time")
    assert canonical("12:30:00", "time") == canonical(time(12, 30))


@pytest.mark.parametrize("rules", [FIRST_RULES, NEWEST_RULES])
def test_different_values_never_have_one_form(rules: int) -> None:
    long = "1234567890123456789012345678."
    values: list[Any] = [
        1, True, -1, 11, "n1", 1.5, "1.5", None, [1], ["1"], [1, 1], {"1": 1}, {}, [], "", " ", "01", 10, 100,
        "true", False, 0, "s", b"\xff", Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"),
        Decimal("-Infinity"), Decimal("1e5000"), Decimal("1e5001"), Decimal("1e-5000"), Decimal("-1e5000"),
        Decimal(long + "0000000001"), Decimal(long + "0000000002"), Decimal(long + "0"), Decimal("0.1"),
        Decimal("0.01"), "\ud800", ["\ud800"], "\ufffd", "é", "e\u0301", "2026-01-01", date(2026, 1, 1), SECOND,
        SECOND + timedelta(microseconds=1), time(0, 0, 1), {"a": 1, "b": 2}, {"a": 2, "b": 1},
    ]  # fmt: skip
    if rules == FIRST_RULES:
        values += ["1", "0", uuid.UUID(UUID), UUID, UUID.upper()]
    assert len({canonical(value, rules=rules) for value in values}) == len(values)


@pytest.mark.parametrize(
    "text",
    [
        "0000-00-00 00:00:00", "never", "", "infinity", "99999-01-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00.123456789Z", "2026-01-01 00:00:00,1234567", "0001-01-01 00:00:00 BC", "\ud800",
    ],
)  # fmt: skip
def test_text_that_is_not_an_exact_moment_stays_text(text: str) -> None:
    assert canonical(text, "date-time") == canonical(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_the_first_and_last_days_of_the_calendar_are_moments(text: str) -> None:
    assert canonical(text, "date-time") == canonical(datetime.fromisoformat(text))


def test_a_huge_exponent_takes_no_memory() -> None:
    for number in ("1e999999999", "-1e-999999999", "1.5e999999999", "0e999999999"):
        assert len(canonical(Decimal(number))) < 30


def test_objects_are_equal_in_any_order_of_their_names() -> None:
    assert canonical(json.loads('{"a": 1, "b": [2]}')) == canonical(json.loads('{"b": [2], "a": 1}'))


def digest(record: dict[str, Any], *key: str, secret: bytes = b"s" * 32, realm: str = "r", source: str = "a") -> bytes:
    return Digester(secret, realm).rows(source, key or ("id",), {})(record)


def test_a_row_is_identified_by_its_key_alone() -> None:
    known = digest({"id": 1, "email": "a"})
    assert known == digest({"email": "b", "id": Decimal("1.0")})
    assert len(known) == ROW_BYTES
    others = [
        digest({"id": "01"}),
        digest({"id": 2}),
        digest({"no": 1}, "no"),
        digest({"id": 1, "b": 1}, "id", "b"),
        digest({"id": 1}, source="b"),
        digest({"id": 1}, realm="another account"),
        digest({"id": 1}, secret=b"t" * 32),
        Digester(b"s" * 32, "r").identities("a")("EMAIL", b"1"),
        Digester(b"s" * 32, "r").identities("b")("EMAIL", b"1"),
        Digester(b"s" * 32, "r").identities("b")("LR_ID", b"1"),
        Digester(b"s" * 32, "r").shorten(b"1"),
    ]
    assert len({known, *others}) == len(others) + 1


def test_the_order_of_key_properties_does_not_matter_but_their_boundaries_do() -> None:
    row = {"a": "x", "b": "yz"}
    assert digest(row, "a", "b") == digest(row, "b", "a")
    assert digest(row, "a", "b") != digest({"a": "xy", "b": "z"}, "a", "b")
    assert digest({"ab": "c", "d": "e"}, "ab", "d") != digest({"a": "c", "bd": "e"}, "a", "bd")


def test_the_schema_decides_which_key_is_a_moment() -> None:
    digester = Digester(b"s" * 32, "r")
    at = digester.rows("a", ("at", "id"), {"at": "date-time"})
    assert at({"id": 1, "at": "2026-01-01 00:00:01+00"}) == at({"id": 1, "at": SECOND})
    assert digester.rows("a", ("at", "id"), {})({"id": 1, "at": "2026-01-01 00:00:01+00"}) != at(
        {"id": 1, "at": SECOND}
    )


MOMENT = {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (MOMENT, "date-time"),
        ({"anyOf": [MOMENT, {"type": ["string", "null"]}]}, "date-time"),
        ({"oneOf": [{"type": "null"}, {"type": "string", "format": "date"}]}, "date"),
        ({"type": "string", "allOf": [{"anyOf": [{"format": "time"}]}]}, "time"),
        ({"type": "string", "format": "uuid"}, None),
        ({"type": ["null", "number"]}, "number"),
        ({"type": "integer"}, "number"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number"),
        ({"type": ["number", "string"]}, None),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, None),
        ({"type": ["null", "string"], "format": "singer.decimal"}, "number"),
        ({"anyOf": [{"type": "null"}, {"type": "string", "format": "singer.decimal"}]}, "number"),
        ({"type": "string"}, None),
        ({}, None),
        ({"anyOf": None, "format": 1, "type": [None, {}]}, None),
        (True, None),
        (None, None),
    ],
)
def test_the_format_of_text_counts_wherever_the_schema_has_it(schema: Any, expected: str | None) -> None:
    assert formats_of({"k": schema}).get("k") == expected
    first = "date-time" if schema is MOMENT else None
    assert formats_of({"k": schema}, FIRST_RULES).get("k") == first


def test_the_digest_of_a_setting_is_stable_and_hides_its_value() -> None:
    digester = Digester(b"s" * 32, "r")
    assert digester.setting("streams", {"a": 1, "b": 2}) == digester.setting("streams", {"b": 2, "a": 1})
    assert digester.setting("streams", 1) != digester.setting("hashing", 1)
    assert "secret" not in digester.setting("access_token", "secret")


def places(keys: list[Any], *names: str) -> list[bytes]:
    rows = [dict(zip(names, key if isinstance(key, tuple) else (key,), strict=True)) for key in keys]
    return [digest(row, *names) for row in rows]


def test_rows_with_neighbouring_integers_are_stored_side_by_side() -> None:
    keys = list(range(10_000, 20_000, 7))
    digests = places(keys, "id")
    assert len({each[:4] for each in digests}) == 1
    assert len({each[4:] for each in digests}) == len(keys)
    far = places([10_000 * number for number in range(1, 50)], "id")
    assert len({each[:4] for each in far}) == len(far)
    # The secret decides where; and another column of the key decides nothing.
    assert digest({"id": 10_000}, secret=b"t" * 32)[:4] != digests[0][:4]
    assert len({each[:4] for each in places([(12_345, "x"), (12_346, "y")], "a", "b")}) == 1
    assert len({each[:4] for each in places([("x", 12_345), ("y", 12_345)], "a", "b")}) == 2


@pytest.mark.parametrize(
    "keys",
    [
        [12_345, Decimal(12_345), 12_345.0, Decimal("12345.00")],
        [12_345, "12345", 1.5, 12_346, Decimal("1.23456"), -12_345, "n12345", 10**30, 1, 0],
        ["a", "b"],
        ["12345", "12346", "-12345", "0"],
        ["12345", "x", "-12345", "-x", "", "é", "\ud800", 80 * "x", 80 * "1"],
        ["a\nb", "a", "b", "\n", "1\n", "1"],
        ["-1", "a"],
        [UUID, UUID.upper(), uuid.UUID(UUID), "A", "a"],
        [UUID.upper(), "A", 36 * "A", "a"],
    ],
)
@pytest.mark.parametrize("rules", [FIRST_RULES, NEWEST_RULES])
def test_other_columns_do_not_change_the_identity_of_a_row(keys: list[Any], rules: int) -> None:
    digester = Digester(b"s" * 32, "r").rows("a", ("id",), {}, rules)
    one_by_one = [digester({"id": key}) for key in keys]
    assert digester.many(lambda _: keys) == one_by_one
    for others in ([11_111, 22_222], ["11111", "22222"], ["x", "y"], [True, None]):
        assert digester.many(lambda _, all_of=[others[0], *keys, others[1]]: all_of)[1:-1] == one_by_one  # type: ignore[misc]
    assert len(set(one_by_one)) == len({canonical(key, rules=rules) for key in keys})


def test_digits_are_stored_beside_their_neighbours_like_integers() -> None:
    assert places(["12345", "12346"], "id") == places([12_345, 12_346], "id")
    assert places([("12345", "x"), ("y", "1")], "a", "b") == places([(12_345, "x"), ("y", 1)], "a", "b")


@pytest.mark.parametrize(
    ("key", "schema", "known"),
    [
        (12345, {}, "125d0444aa948ec74b1848f3ea57507a"),
        ("12345", {}, "634fd3ab3d56aeed987586580c4bba44"),
        ("x", {}, "de43fc8388c7dc72c6f2cc00dfa5c48a"),
        ("A-1", {}, "b4fff72c4936bed55bd3c45d730cd492"),
        ("é", {}, "8ed457c5db2620a3a55d9502e46e6458"),
        (UUID, {}, "0e16955565ca7133d2eca42b80626f48"),
        (UUID.upper(), {"format": "uuid"}, "7fe009c4110724dabee1330d997ea4b2"),
        (uuid.UUID(UUID), {}, "c3e93ea187b4721afee18062b4a59f95"),
        (UuidBytes(uuid.UUID(UUID).bytes), {}, "f43327ca6130c237b22734dbba227c44"),
        (Decimal("1.50"), {"type": "number"}, "933cbf1c614a5a4982563e70ce0f3e33"),
        ("1.50", {"type": "number"}, "c2d7d1f5e22428af5eb8b37089900f5d"),
        ("1.50", {"type": "string", "format": "singer.decimal"}, "c2d7d1f5e22428af5eb8b37089900f5d"),
        (True, {}, "36f8a5c39724658565a57916aa3b4121"),
        (["a"], {}, "cd95ad8fc00c55e320203be670971e48"),
        ("2026-01-01T00:00:01Z", {"format": "date-time"}, "f686fc89492d0fb1743a0fe13df440dd"),
        (SECOND, {}, "f686fc89492d0fb1743a0fe13df440dd"),
        ("12:30:00.5", {"format": "time"}, "9beeb3c3d7bbeccb41cbe6b03bb5c873"),
    ],
)
def test_the_rows_of_an_old_ledger_keep_their_digests(key: Any, schema: dict[str, Any], known: str) -> None:
    digester = Digester(b"s" * 32, "r")
    formats = formats_of({"id": schema}, FIRST_RULES)
    rows = digester.rows("a", ("id",), formats, FIRST_RULES)
    assert rows({"id": key}).hex() == known
    assert [each.hex() for each in rows.many(lambda _: [key, key])] == [known, known]
    assert formats_of({"id": {"anyOf": [schema]}}, FIRST_RULES) == {}


def test_a_key_of_several_columns_in_an_old_ledger_keeps_its_digest() -> None:
    scattered = Digester(b"s" * 32, "r", places_rows=False).rows("a", ("id", "b"), {}, FIRST_RULES)
    assert scattered({"id": "7", "b": 12_345}).hex() == "a284fa1336d2cd8017aa8983f49d1a67"


def test_a_ledger_with_scattered_rows_keeps_them_scattered() -> None:
    scattered = Digester(b"s" * 32, "r", places_rows=False).rows("a", ("id",), {})
    digests = scattered.many(lambda _: [10_000, 10_001, "x"])
    assert digests == [scattered({"id": key}) for key in (10_000, 10_001, "x")]
    assert digests[0][:4] != digests[1][:4]
    assert digests[0][4:] == digest({"id": 10_000})[4:]
