"""What stream maps and flattening make of rows: what the SDK does, but for deleted rows and empty objects."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
from singer_sdk.mapper import PluginMapper

from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.singer.stream_maps.row_map import RowMap, row_maps
from target_pinterest_audience.singer.stream_maps.rules import definitions

PLACE = Place(3)
GONE = {"_sdc_deleted_at": "2026-02-01T00:00:00Z"}
FLAT: dict[str, Any] = {"flattening_enabled": True, "flattening_max_depth": 5}
TEXT = {"type": ["null", "string"]}
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"}, "email": TEXT, "spent": {"type": ["null", "integer"]}, "_sdc_deleted_at": TEXT,
        "is_deleted": TEXT,
    },
}  # fmt: skip
NESTED = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "contact": {
            "type": ["null", "object"],
            "properties": {
                "email": TEXT,
                "home": {"type": ["null", "object"], "properties": {"city": TEXT, "tags": {"type": "array"}}},
            },
        },
        "raw": {"type": ["null", "object"]},
        "either": {"anyOf": [{"type": "object", "properties": {"a": TEXT}}, {"type": "null"}]},
        "_sdc_deleted_at": TEXT,
    },
}
ANN = {"id": 1, "email": "ann@example.com", "spent": 5, "is_deleted": None, "_sdc_deleted_at": None}


def make(
    maps: dict[str, Any], schema: dict[str, Any] = SCHEMA, removal_column: str | None = None, **config: Any
) -> list[RowMap]:
    mapper = PluginMapper({"stream_maps": copy.deepcopy(maps), **config}, logging.getLogger("test"))
    schema = copy.deepcopy(schema)
    mapper.register_raw_stream_schema("customers", schema, ["id"])
    made = list(row_maps(mapper, "customers", schema, ()))
    for each in made:
        each.watch(removal_column)
    return made


def apply(row_map: RowMap, raw: dict[str, Any]) -> tuple[dict[str, Any], bool] | None:
    before = copy.deepcopy(raw)
    found = row_map.apply(raw, PLACE, row_map.stream_map.transformed_key_properties or ["email"])
    assert raw == before
    return found


CASES: list[dict[str, Any]] = [
    {},
    {"customers": {}},
    {"customers": {"__filter__": "(spent or 0) > 1000"}},
    {"customers": {"email": "str(email).lower()", "half": "(spent or 0) / 2", "is_deleted": None}},
    {"customers": {"id": "id", "email": "email", "__else__": None}},
    {"customers": {"id": "str(id)", "email": "email", "__else__": "__NULL__"}},
    {"customers": {"key": "str(id)", "__key_properties__": ["key"]}},
    {"customers": {"__key_properties__": None}},
    {"customers": {"__alias__": "buyers", "spent": "__NULL__"}},
    {"cust*": {"email": "self"}, "big": {"__source__": "customers", "__filter__": "(spent or 0) > 3"}},
    {"customers": None, "others": {"__source__": "cust*"}},
    {"elsewhere": {}, "__else__": None},
    {"customers": {"spent": None}, "customers*": {"is_deleted": None}},
]


@pytest.mark.parametrize("maps", CASES, ids=str)
@pytest.mark.parametrize("config", [{}, FLAT], ids=["plain", "flat"])
def test_a_row_gets_the_same_result_as_from_the_sdk(maps: dict[str, Any], config: dict[str, Any]) -> None:
    rows: list[dict[str, Any]] = [ANN, {"id": 2, "email": None, "spent": None}]
    rows.append({"id": 3, "email": "x", "spent": 2000, "is_deleted": "no"})
    for each in make(maps, **config):
        for raw in rows:
            expected = each.stream_map.transform(copy.deepcopy(raw))
            assert apply(each, raw) == (None if expected is None else (expected, False))


@pytest.mark.parametrize("maps", CASES, ids=str)
@pytest.mark.parametrize("config", [{}, FLAT], ids=["plain", "flat"])
def test_a_deleted_row_gets_the_result_of_the_sdk_without_the_filter(
    maps: dict[str, Any], config: dict[str, Any]
) -> None:
    passing = {
        name: {rule: each for rule, each in rules.items() if rule != "__filter__"} if rules else rules
        for name, rules in maps.items()
    }
    for each, unfiltered in zip(make(maps, **config), make(passing, **config), strict=True):
        rows: list[dict[str, Any]] = [{**ANN, **GONE}, {"id": 2, "email": None, "spent": None, **GONE}]
        for raw in rows:
            expected = unfiltered.stream_map.transform(copy.deepcopy(raw))
            assert apply(each, raw) == (None if expected is None else (expected, True))


@pytest.mark.parametrize(
    ("rules", "record"),
    [
        ({"__filter__": "spent > 1000"}, {"id": 1, **GONE}),
        ({"__filter__": "record.get('spent', 0) > 1000"}, {"id": 1, **GONE}),
        ({"__filter__": "_sdc_deleted_at is None"}, {"id": 1, **GONE}),
        ({"email": "email.lower()"}, {"id": 1, **GONE}),
        ({"email": "md5(email)", "half": "spent / 2", "name": "'x'"}, {"id": 1, "name": "x", **GONE}),
        ({"id": "id", "email": "email", "__else__": None}, {"id": 1}),
        ({"id": "str(id)", "email": "email", "__else__": None}, {"id": "1"}),
        ({"key": "'c' + str(id)", "__key_properties__": ["key"]}, {"id": 1, "key": "c1", **GONE}),
        ({"_sdc_deleted_at": None}, {"id": 1}),
    ],
    ids=str,
)
def test_a_deleted_row_with_only_its_key_passes(rules: dict[str, Any], record: dict[str, Any]) -> None:
    for config in ({}, FLAT):
        (made,) = make({"customers": rules}, **config)
        assert apply(made, {"id": 1, **GONE}) == (record, True)


def test_a_deleted_row_reaches_every_stream_made_from_its_own_but_not_one_mapped_away() -> None:
    maps = {"customers": {"__filter__": "spent > 5"}, "vip": {"__source__": "customers", "__filter__": "spent > 9"}}
    assert [apply(each, {"id": 1, **GONE}) for each in make(maps)] == [({"id": 1, **GONE}, True)] * 2
    assert [apply(each, {"id": 1, **GONE}) for each in make({"customers": None})] == [None]
    assert [apply(each, {"id": 1, **GONE}) for each in make({"customers": "__NULL__"})] == [None]
    assert [apply(each, {"id": 1, **GONE}) for each in make({"leads": {}, "__else__": None})] == [None]


def test_an_expression_that_fails_for_a_row_exits_2() -> None:
    (made,) = make({"customers": {"email": "email.lower()"}})
    with pytest.raises(ConfigurationError, match=r"fails for the record of stream customers on line 3"):
        apply(made, {"id": 1})


@pytest.mark.parametrize(
    "rules",
    [
        {"id": "email.lower()"},
        {"id": "record.get('email')"},
        {"key": "email + 'x'", "__key_properties__": ["key"]},
        {"__key_properties__": ["email"]},
        {"email": "email.lower()", "__key_properties__": ["email"]},
        {"email": "email.lower()", "__key_properties__": None},
    ],
    ids=str,
)
def test_a_delete_whose_key_cannot_be_computed_exits_2(rules: dict[str, Any]) -> None:
    (made,) = make({"customers": rules})
    with pytest.raises(ConfigurationError, match=r"cannot compute (id|key|email) of stream customers for the deleted"):
        apply(made, {"id": 1, **GONE})


def test_a_null_key_in_a_complete_row_is_not_an_error_of_the_map() -> None:
    (made,) = make({"customers": {"__key_properties__": ["email"]}})
    assert apply(made, {**ANN, "email": None, **GONE}) is not None


@pytest.mark.parametrize("value", ["N", "Y", None])
def test_a_computed_deletion_mark_counts_before_the_filter(value: str | None) -> None:
    rules = {"__filter__": "spent > 9", "is_deleted": "self == 'N'"}
    (made,) = make({"customers": rules}, removal_column="is_deleted")
    found = apply(made, {**ANN, "is_deleted": value})
    assert found == (({**ANN, "is_deleted": True}, True) if value == "N" else None)


def test_the_mark_of_a_tap_counts_though_the_map_computes_one() -> None:
    (made,) = make({"customers": {"_sdc_deleted_at": "spent"}})
    assert apply(made, {"id": 1, "_sdc_deleted_at": "2026-11-30"}) == ({"id": 1}, True)
    assert apply(made, {"id": 1, "_sdc_deleted_at": None, "spent": None}) == (
        {"id": 1, "_sdc_deleted_at": None, "spent": None}, False,
    )  # fmt: skip


def test_a_deletion_mark_that_cannot_be_computed_counts_as_the_tap_sent_it() -> None:
    rules = {"is_deleted": "spent > 5 and self == 'Y'"}
    (made,) = make({"customers": rules}, removal_column="IS_DELETED")
    assert apply(made, {"id": 1, "is_deleted": "Y"}) == ({"id": 1}, True)
    with pytest.raises(ConfigurationError):
        apply(made, {"id": 1, "is_deleted": "N"})


def test_a_renamed_deletion_mark_counts() -> None:
    rules = {"gone": "is_deleted", "email": "email.lower()", "is_deleted": None}
    (made,) = make({"customers": rules}, removal_column="gone")
    assert apply(made, {"id": 1, "is_deleted": "Y"}) == ({"id": 1, "gone": "Y"}, True)
    assert made.passed_columns == ["id", "spent", "_sdc_deleted_at"]


def test_a_nested_deletion_mark_counts_though_the_map_drops_its_object() -> None:
    schema = {"type": "object", "properties": {"id": {}, "meta": {"type": "object", "properties": {"gone": TEXT}}}}
    (made,) = make({"customers": {"meta": None}}, schema, removal_column="META__GONE", **FLAT)
    assert list(made.raw_columns) == ["id", "meta__gone"]
    assert apply(made, {"id": 1, "meta": {"gone": "yes"}}) == ({"id": 1}, True)
    assert apply(made, {"id": 1, "meta": {"gone": "no"}}) == ({"id": 1}, False)


HOME = {"contact__home__city": None, "contact__home__tags": None}


@pytest.mark.parametrize(
    ("contact", "flat"),
    [
        (None, {"contact__email": None, **HOME}),
        ({}, {"contact__email": None, **HOME}),
        ([], {"contact__email": None, **HOME}),
        ("", {"contact__email": None, **HOME}),
        ({"email": "a"}, {"contact__email": "a", **HOME}),
        ({"home": None}, {"contact__email": None, **HOME}),
        ({"home": {}, "email": "a"}, {"contact__email": "a", **HOME}),
        ({"home": {"city": "Rome"}}, {"contact__email": None, **HOME, "contact__home__city": "Rome"}),
    ],
)
@pytest.mark.parametrize("maps", [{}, {"customers": {"__filter__": "id", "three": "3"}}], ids=str)
def test_what_an_object_lacks_is_null(maps: dict[str, Any], contact: Any, flat: dict[str, Any]) -> None:
    (made,) = make(maps, NESTED, **FLAT)
    found = apply(made, {"id": 1, "contact": contact})
    three = {"three": 3} if maps else {}
    assert found == ({"id": 1, **three, **flat}, False)


def test_a_missing_object_leaves_its_columns_out() -> None:
    (made,) = make({}, NESTED, **FLAT)
    assert apply(made, {"id": 1}) == ({"id": 1}, False)
    assert apply(made, {"id": 1, **GONE}) == ({"id": 1, **GONE}, True)


def test_only_columns_of_the_flattened_schema_become_null() -> None:
    (made,) = make({}, NESTED, flattening_enabled=True, flattening_max_depth=1)
    assert apply(made, {"id": 1, "contact": None, "raw": None, "either": None}) == (
        {"id": 1, "contact__email": None, "contact__home": None, "raw": None, "either": None}, False,
    )  # fmt: skip
    (unflattened,) = make({}, NESTED)
    assert apply(unflattened, {"id": 1, "contact": None}) == ({"id": 1, "contact": None}, False)


def test_long_and_odd_names_are_the_same_as_in_the_sdk() -> None:
    config = {**FLAT, "flattening_max_key_length": 12, "flattening_separator": "/"}
    (made,) = make({}, NESTED, **config)
    found = apply(made, {"id": 1, "contact": None})
    assert found is not None
    assert found[0].keys() - {"id"} <= made.stream_map.transformed_schema["properties"].keys()
    assert len(found[0]) == 4


def test_an_expression_reads_the_object_as_the_tap_sent_it() -> None:
    rules = {"__filter__": "contact is not None", "has": "contact == {}"}
    (made,) = make({"customers": rules}, NESTED, **FLAT)
    assert apply(made, {"id": 1, "contact": None}) is None
    found = apply(made, {"id": 1, "contact": {}})
    assert found is not None
    assert found[0]["has"] is True
    assert found[0]["contact__email"] is None


EVENTS = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"}, "email": TEXT, "work": TEXT, "status": TEXT, "tags": {"type": "array"},
        "contact": {"type": ["null", "object"], "properties": {"email": TEXT, "city": TEXT}},
    },
}  # fmt: skip


def apply_to_event(rules: dict[str, Any], raw: dict[str, Any], **config: Any) -> dict[str, Any]:
    (made,) = make({"customers": rules}, EVENTS, **config)
    found = made.apply(raw, PLACE, ["id"], ["email", "mail", "contact__email"])
    assert found is not None
    assert not found[1]
    return found[0]


@pytest.mark.parametrize(
    ("rules", "computed"),
    [
        ({"gone": "status == 'deleted'"}, {"gone": False}),
        ({"ok": "status is None"}, {"ok": True}),
        ({"x": "str(status or '') + 'x'"}, {"x": "x"}),
        ({"x": "record['status'] or 1"}, {"x": 1}),
        ({"x": "_['status'] or record.get('status') or 2"}, {"x": 2}),
        ({"status": "(self or 'none').upper()"}, {"status": "NONE"}),
        ({"x": "tags or []"}, {"x": []}),
        ({"x": "contact is None"}, {"x": True}),
        ({"__filter__": "status != 'deleted'"}, {}),
    ],
)
def test_a_declared_column_that_a_record_lacks_is_null_to_expressions(
    rules: dict[str, Any], computed: dict[str, Any]
) -> None:
    assert apply_to_event(rules, {"id": 1, "email": "a"}) == {"id": 1, "email": "a", **computed}
    (made,) = make({"customers": {"x": "phone"}}, EVENTS)
    with pytest.raises(ConfigurationError):
        apply(made, {"id": 1})


@pytest.mark.parametrize(
    ("rules", "raw", "columns"),
    [
        # Other names of a column that is not there, and what was only made of such columns.
        ({"email": "email"}, {}, {}),
        ({"email": "self"}, {}, {}),
        ({"mail": "record['email']"}, {}, {}),
        ({"consent": "status"}, {}, {}),
        ({"email": "_.get('email')"}, {}, {}),
        ({"email": "(email or '').strip().lower()"}, {}, {}),
        ({"email": "str(email).lower()"}, {}, {}),
        ({"email": "email or work"}, {}, {}),
        ({"email": "email or work"}, {"work": None}, {"work": None}),
        ({"email": "email if status == 'active' else None"}, {"email": "a"}, {}),
        ({"email": "contact['email']"}, {}, {}),
        ({"email": "contact.email"}, {"contact": {"city": "Rome"}}, {"contact": {"city": "Rome"}}),
        ({"email": "contact['email'] or work"}, {"work": None}, {"work": None}),
        # What the record does say.
        ({"email": "email"}, {"email": None}, {"email": None}),
        ({"email": "(email or '').lower()"}, {"email": None}, {"email": ""}),
        ({"email": "email or work"}, {"work": "b"}, {"work": "b", "email": "b"}),
        ({"email": "work or email"}, {"email": "a"}, {"email": "a"}),
        ({"email": "contact.email"}, {"contact": {"email": None}}, {"contact": {"email": None}, "email": None}),
        ({"email": "contact['city'] or work"}, {"contact": {"city": "c"}}, {"contact": {"city": "c"}, "email": "c"}),
        ({"email": "email if status == 'active' else None"}, {"email": "a", "status": "x"},
         {"status": "x", "email": None}),
        ({"email": "'a@b.example'"}, {}, {"email": "a@b.example"}),
    ],
)  # fmt: skip
def test_an_identity_that_depends_on_a_missing_column_is_left_out_and_not_null(
    rules: dict[str, Any], raw: dict[str, Any], columns: dict[str, Any]
) -> None:
    assert apply_to_event(rules, {"id": 1, **raw}) == {"id": 1, **columns}


def test_a_column_that_no_rule_names_stays_missing() -> None:
    raw = {"id": 1, "contact": {"city": "Rome"}}
    assert apply_to_event({"x": "contact['email'] or work or 1"}, raw) == {**raw, "x": 1}
    flat = {"id": 1, "contact__city": "Rome", "contact__email": None}
    assert apply_to_event({"x": "contact['email'] or 1"}, raw, **FLAT) == {**flat, "x": 1}
    assert apply_to_event({"contact": "contact"}, raw, **FLAT) == flat


@pytest.mark.parametrize(
    ("expression", "raw", "key"),
    [
        ("str(id) + str(work)", {}, None),
        ("str(id) + str(work)", {"work": "w"}, "1w"),
        ("str(id) + str(work)", {"work": None}, "1None"),
        ("work or id", {}, None),
        ("id or work", {}, 1),
        ("id", {}, 1),
    ],
)
def test_a_key_that_depends_on_a_missing_column_is_null(expression: str, raw: dict[str, Any], key: object) -> None:
    assert apply_to_event({"id": expression}, {"id": 1, **raw}) == {"id": key, **raw}


def test_a_computed_deletion_mark_counts_although_other_expressions_fail() -> None:
    (made,) = make({"customers": {"gone": "status == 'x' or work == 'x'", "__filter__": "email"}}, EVENTS, "gone")
    assert apply(made, {"id": 1, "status": "x"}) == ({"id": 1, "status": "x", "gone": True}, True)
    assert apply(made, {"id": 1, "status": "y"}) is None


def test_maps_are_matched_with_their_settings_like_in_the_sdk() -> None:
    maps = {"a": {"x": "1"}, "b": {"__source__": "a"}, "*": {"y": "2"}, "c": {"__source__": "?"}, "d": None}
    assert definitions(maps, "a") == [{"y": "2"}, {"__source__": "a"}, {"__source__": "?"}]
    assert definitions(maps, "z") == [{"y": "2"}, {"__source__": "?"}]
    assert definitions({"d": None, "other": {}}, "d") == [None]


def test_a_repeated_schema_changes_nothing() -> None:
    mapper = PluginMapper({"stream_maps": {"customers": {"email": "self"}}}, logging.getLogger("test"))
    known: Any = ()
    for schema, same in ((SCHEMA, False), (SCHEMA, True), (NESTED, False)):
        mapper.register_raw_stream_schema("customers", copy.deepcopy(schema), ["id"])
        made = row_maps(mapper, "customers", schema, known)
        assert (made is known) == same
        known = made
