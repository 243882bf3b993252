"""Identities inside objects and arrays: the real process, against the emulator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import Sent, Write, members
from tests.support.batch_files import batch, write
from tests.support.messages import address, deleted, digests, record, sha256, state
from tests.support.processes import Companion, Target

UPSERT = {"load_method": "upsert"}
OVERWRITE = {"load_method": "overwrite"}
TEXT: dict[str, Any] = {"type": ["null", "string"]}
OPEN: dict[str, Any] = {"type": ["null", "object"]}
CUSTOMER = {"identity_columns": {"customer.email": "EMAIL"}}
VALUES = {"identity_columns": {"emails[].value": "EMAIL"}}


def objects(**properties: Any) -> dict[str, Any]:
    return {"type": ["null", "object"], "properties": properties}


def arrays(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["null", "array"], "items": items}


def described(*, stream: str = "customers", key: tuple[str, ...] = ("id",), **columns: Any) -> dict[str, Any]:
    properties = {"id": {"type": ["null", "integer"]}, **columns}
    schema = {"type": "object", "properties": properties}
    return {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": list(key)}


NESTED = described(customer=objects(email=TEXT, ok={}, gone={}, segment=TEXT))
MANY = described(emails=arrays(objects(value=TEXT, label=TEXT)), _sdc_deleted_at=TEXT)
PLAIN = described(email=arrays(TEXT), _sdc_deleted_at=TEXT)


def row(number: int, **customer: Any) -> dict[str, Any]:
    return record(id=number, customer=customer)


def values(*people: object) -> list[Any]:
    return [{"value": address(each) if isinstance(each, int) else each, "label": "home"} for each in people]


ADD, REMOVE = "ADD", "REMOVE"


@pytest.mark.parametrize("way", [{}, {"validate_records": True}, {"stream_maps": {"customers": {"id": "id"}}}])
@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_a_path_is_read_like_a_column(
    emulator: Emulator, run_target: Target, way: dict[str, Any], load_method: str
) -> None:
    rows = [row(1, email=address(1)), record(id=2, customer=None), record(id=3), row(4), row(5, email="bad")]
    run = run_target([NESTED, *rows, row(6, email=address(6)), state(1)], load_method=load_method, **CUSTOMER, **way)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([1, 6])
    assert "not an e-mail address" in run.stderr


def test_an_object_without_the_field_or_a_null_one_removes_and_a_missing_column_does_not(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    rows = [row(number, email=address(number)) for number in range(6)]
    settings = {**UPSERT, **CUSTOMER, "max_removal_percent": 100}
    assert run_target([NESTED, *rows], **settings).code == 0
    sent()
    later = [record(id=0), record(id=1, customer=None), row(2), row(3, email=None), record(id=4, customer=[])]
    assert run_target([NESTED, *later, rows[5]], **settings).code == 0
    assert sent() == [Write(REMOVE, digests([1, 2, 3, 4]))]
    assert members(emulator) == digests([0, 5])


@pytest.mark.parametrize("kind", ["jsonl", "gzip", "parquet"])
@pytest.mark.parametrize("settings", [{}, {"validate_records": True}])
def test_files_give_the_same_as_records(
    emulator: Emulator, run_target: Target, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    schema = described(customer=objects(email=TEXT), emails=arrays(objects(value=TEXT)), names=arrays(TEXT))
    columns = {"customer.email": "EMAIL", "emails[].value": "EMAIL", "names[]": "EMAIL"}
    rows: list[dict[str, Any]] = [
        {"id": 1, "customer": {"email": address(1)}, "emails": values(2, 3), "names": [address(4)]},
        {"id": 2, "customer": None, "emails": None, "names": None},
        {"id": 3, "customer": {"email": None}, "emails": [{"value": None}], "names": [None, address(5), address(5)]},
    ]
    url = write(tmp_path / "f", rows, kind)
    run = run_target([schema, batch(kind, url), state(1)], identity_columns=columns, **UPSERT, **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(1, 6))
    assert "6 values (5 to add, 1 duplicate)" in run.stderr


@pytest.mark.parametrize("column", ["email", "email[]"])
def test_an_array_of_texts_fans_out(emulator: Emulator, run_target: Target, column: str) -> None:
    rows = [record(id=1, email=[address(1), address(2)]), record(id=2, email=address(3)), record(id=3, email=[])]
    settings = {} if column == "email" else {"identity_columns": {column: "EMAIL"}}
    assert run_target([PLAIN, *rows], **settings).code == 0
    assert members(emulator) == digests([1, 2, 3])


def test_the_element_that_is_gone_is_removed_and_the_order_does_not_matter(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    def load(*people: object) -> list[Write]:
        run = run_target(
            [MANY, record(id=1, emails=values(*people)), record(id=2, emails=values(9))], **UPSERT, **VALUES
        )
        assert run.code == 0, run.stderr
        return sent()

    assert load(1, 2, 3) == [Write(ADD, digests([1, 2, 3, 9]))]
    assert load(3, 1, 2) == []
    assert load(3, 1, 2, 1, 1) == []
    assert load(3, 1) == [Write(REMOVE, digests([2]))]
    assert load(3, "bad", None) == [Write(REMOVE, digests([1]))]
    assert load(3, 4) == [Write(ADD, digests([4]))]
    assert members(emulator) == digests([3, 4, 9])
    assert set(load(*range(20, 40))) == {Write(ADD, digests(range(20, 40))), Write(REMOVE, digests([3, 4]))}


def test_a_bad_element_is_rejected_and_the_others_are_not(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects"
    rows = [record(id=1, emails=values(1, "bad", 2, "worse", 2)), record(id=2, emails=values(3))]
    run = run_target([MANY, *rows], rejects_path=str(rejects), **UPSERT, **VALUES)
    assert run.code == 0
    assert "6 values (3 to add, 1 duplicate, 2 rejected)" in run.stderr
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(each["line"], each["column"]) for each in found] == [(2, "emails[].value")] * 2
    assert members(emulator) == digests([1, 2, 3])


def test_a_value_where_an_object_is_expected_is_rejected_with_a_reason(run_target: Target) -> None:
    run = run_target([NESTED, record(id=1, customer=address(1)), row(2, email=address(2))], **CUSTOMER)
    assert run.code == 0
    assert "inside a value that is not an object, although `identity_columns` names a field of it" in run.stderr
    assert address(1) not in run.stderr


def test_a_deleted_row_removes_all_its_elements(emulator: Emulator, run_target: Target, sent: Sent) -> None:
    settings = {**UPSERT, **VALUES}
    run_target([MANY, record(id=1, emails=values(1, 2)), record(id=2, emails=values(2, 3))], **settings)
    sent()
    assert run_target([MANY, deleted(1)], **settings).code == 0
    assert sent() == [Write(REMOVE, digests([1]))]
    assert members(emulator) == digests([2, 3])


@pytest.mark.parametrize("answer", [False, None])
def test_paths_to_consent_deletion_and_the_list(emulator: Emulator, run_target: Target, answer: object) -> None:
    settings = {
        "consent_column": "customer.ok", "removal_column": "customer.gone", "list_name_column": "customer.segment",
        **CUSTOMER, **UPSERT,
    }  # fmt: skip
    first = [row(n, email=address(n), ok=True, segment="gold" if n % 2 else "iron", gone=None) for n in range(6)]
    run = run_target([NESTED, *first], **settings)
    assert run.code == 0, run.stderr
    assert (members(emulator, "gold"), members(emulator, "iron")) == (digests([1, 3, 5]), digests([0, 2, 4]))
    changed = [
        row(0, email=address(0), ok=answer, segment="iron"),
        row(1, email=address(1), ok=True, segment="iron"),
        row(2, email=address(2), ok=True, segment="iron", gone="2026-11-22"),
        record(id=4, customer=None),
        record(id=5),
    ]
    run = run_target([NESTED, *changed], **settings, max_removal_percent=100)
    assert run.code == 0, run.stderr
    assert (members(emulator, "gold"), members(emulator, "iron")) == (digests([3, 5]), digests([1]))


@pytest.mark.parametrize("setting", ["consent_column", "removal_column", "list_name_column"])
def test_a_path_that_the_schema_lacks_is_refused(run_target: Target, sent: Sent, setting: str) -> None:
    run = run_target([NESTED, row(1, email=address(1))], **{setting: "customer.Ok1"}, **CUSTOMER)
    assert (run.code, sent()) == (2, [])
    assert f"customer.Ok1, which `{setting}` names" in run.stderr


@pytest.mark.parametrize("setting", ["consent_column", "removal_column", "list_name_column"])
@pytest.mark.parametrize("path", ["emails[].label", "emails.label"])
def test_a_setting_about_the_whole_row_must_not_lead_into_an_array(
    run_target: Target, sent: Sent, setting: str, path: str
) -> None:
    run = run_target([MANY, record(id=1, emails=values(1))], **{setting: path}, **VALUES)
    assert (run.code, sent()) == (2, [])
    assert f"`{setting}` names {path} of stream customers, which leads into an array" in run.stderr


@pytest.mark.parametrize("maps", [{}, {"__filter__": "id > 1"}, {"__filter__": "id > 1", "id": "id"}])
def test_a_deletion_mark_inside_an_object_passes_filters(
    emulator: Emulator, run_target: Target, maps: dict[str, Any]
) -> None:
    settings = {"removal_column": "customer.gone", **CUSTOMER, **UPSERT}
    run_target([NESTED, *[row(n, email=address(n)) for n in (1, 2)]], **settings)
    run = run_target([NESTED, row(1, gone=True)], stream_maps={"customers": maps} if maps else None, **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([2])


def test_a_schema_without_other_columns_allows_a_path(emulator: Emulator, run_target: Target) -> None:
    closed = {**NESTED, "schema": {**NESTED["schema"], "additionalProperties": False}}
    run = run_target([closed, row(1, email=address(1))], validate_records=True, **CUSTOMER)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([1])


def test_a_column_whose_own_name_has_dots_comes_before_a_path(emulator: Emulator, run_target: Target) -> None:
    both: dict[str, Any] = {"customer.email": TEXT, "customer": objects(email=TEXT)}
    schema = described(**both)
    named: dict[str, Any] = {"id": 1, "customer.email": address(1), "customer": {"email": address(2)}}
    rows = [record(**named)]
    assert run_target([schema, *rows], **CUSTOMER).code == 0
    assert members(emulator) == digests([1])


@pytest.mark.parametrize("rest", [{}, {"validate_records": True}])
def test_rows_without_a_key_are_their_elements(run_target: Target, sent: Sent, rest: dict[str, Any]) -> None:
    schema = described(emails=arrays(objects(value=TEXT)), _sdc_deleted_at=TEXT, key=())
    settings = {**UPSERT, **VALUES, **rest, "max_deleted_percent": 100}
    run = run_target([schema, record(emails=values(1, 2, 1)), record(emails=values(2, 3))], **settings)
    assert run.code == 0, run.stderr
    assert sent() == [Write(ADD, digests([1, 2, 3]))]
    gone = record(emails=values(1, 3), _sdc_deleted_at="2026-11-22")
    assert run_target([schema, gone], **settings).code == 0
    assert sent() == [Write(REMOVE, digests([1, 3]))]


def test_prune_removes_every_element_of_a_row_that_is_missing(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    rows = [record(id=n, emails=values(10 * n, 10 * n + 1)) for n in range(10)]
    assert run_target([MANY, *rows], **OVERWRITE, **VALUES).code == 0
    assert run_target([MANY, *rows[1:]], **OVERWRITE, **VALUES).code == 0
    pruned = run_companion("prune", **OVERWRITE, **VALUES)
    assert pruned.code == 0, pruned.stderr
    assert members(emulator) == digests(n + 10 * k for k in range(1, 10) for n in (0, 1))


def test_forgetting_one_element_leaves_the_others(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    rows = [record(id=1, emails=values(1, 2, 3))]
    run_target([MANY, *rows], **UPSERT, **VALUES)
    forgotten = run_companion("forget", "--email", address(2), "--yes", **UPSERT, **VALUES)
    assert forgotten.code == 0, forgotten.stderr
    assert run_target([MANY, *rows], **UPSERT, **VALUES).code == 0
    assert members(emulator) == digests([1, 3])


@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_a_stream_that_removes_removes_every_element(emulator: Emulator, run_target: Target, load_method: str) -> None:
    emulator.backend.create_list("customers", [sha256(address(n)) for n in range(5)])
    settings = {"load_method": load_method, "operation": "remove", **VALUES}
    rows = [record(id=1, emails=values(1, 2)), record(id=2, emails=values(2, sha256(address(3))))]
    run = run_target([MANY, *rows], **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([0, 4])


def test_a_refusal_of_one_digest_in_an_array_is_known_under_one_algorithm_only(
    run_target: Target,
) -> None:
    schema = described(emails=arrays(objects(value=TEXT)), ok={"type": "boolean"})
    settings = {**UPSERT, **VALUES, "consent_column": "ok"}
    granted = [record(id=n, emails=values(n), ok=True) for n in range(9)]
    run_target([schema, *granted, record(id=9, emails=values(10, sha256(address(11))), ok=False)], **settings)
    changed = run_target([schema, *granted], **settings, hash_algorithm="sha1")
    assert "refus" in changed.stderr
    assert changed.code == 2


# What the settings do not name


def test_a_schema_that_declares_no_column_is_read_by_the_names_in_the_settings(
    emulator: Emulator, run_target: Target
) -> None:
    schema = {"type": "SCHEMA", "stream": "customers", "schema": {"type": "object"}, "key_properties": ["_id"]}
    rows = [record(_id="a", contact={"email": address(1), "more": [address(2)]}), record(_id="b", name="x")]
    columns = {"contact.email": "EMAIL", "contact.more": "EMAIL"}
    run = run_target([schema, *rows, state(1)], identity_columns=columns, **UPSERT)
    assert (run.code, run.states) == (0, [state(1)["value"]]), run.stderr
    assert members(emulator) == digests([1, 2])


@pytest.mark.parametrize(
    ("columns", "near", "value"),
    [
        ({"customer": objects(email=TEXT)}, "customer.email", {"customer": {"email": address(1)}}),
        ({"emails": arrays(TEXT)}, "emails[]", {"emails": [address(1)]}),
        ({"emails": arrays(objects(value=TEXT, type=TEXT))}, "emails[].value", {"emails": values(1)}),
        ({"contacts": arrays(objects(email=TEXT))}, "contacts[].email", {"contacts": [{"email": address(1)}]}),
        ({"a": objects(b=objects(Email=TEXT))}, "a.b.Email", {"a": {"b": {"Email": address(1)}}}),
        ({"Work Email": TEXT}, "Work Email", {"Work Email": address(1)}),
    ],
)
def test_the_setting_that_a_message_suggests_works(
    emulator: Emulator, run_target: Target, sent: Sent, columns: dict[str, Any], near: str, value: dict[str, Any]
) -> None:
    stream = [described(**columns, city=TEXT), record(id=1, **value), state(1)]
    run = run_target(stream)
    assert (run.code, run.states, sent()) == (2, [], [])
    setting = json.dumps({near: "EMAIL"})
    assert f"The nearest is `{near}`" in run.stderr
    assert f"set `identity_columns` to {setting}" in run.stderr
    assert run_target(stream, identity_columns=json.loads(setting)).code == 0
    assert members(emulator) == digests([1])


@pytest.mark.parametrize("opened", [OPEN, {**OPEN, "additionalProperties": True}, {"$ref": "#/definitions/x"}])
def test_objects_that_the_schema_does_not_describe_are_told_with_a_path(
    emulator: Emulator, run_target: Target, sent: Sent, opened: dict[str, Any]
) -> None:
    stream = [described(document=opened, city=TEXT), record(id=1, document={"email": address(1)}), state(1)]
    run = run_target(stream)
    assert (run.code, run.states, sent()) == (2, [], [])
    assert "`document` of stream customers can hold objects whose contents the SCHEMA does not describe" in run.stderr
    setting = json.dumps({"document.email": "EMAIL"})
    assert f"set `identity_columns` to {setting}" in run.stderr
    assert run_target(stream, identity_columns=json.loads(setting)).code == 0
    assert members(emulator) == digests([1])


@pytest.mark.parametrize(("kind", "told"), [("object", "object"), ("boolean", "boolean")])
def test_a_column_of_the_right_name_and_the_wrong_type_is_told(run_target: Target, kind: str, told: str) -> None:
    run = run_target([described(email={"type": ["null", kind]}), record(id=1)])
    assert run.code == 2
    assert f"the name and the type of an identity column: the SCHEMA declares email as {told}" in run.stderr
    assert "named like an identity" not in run.stderr


def test_text_above_a_path_is_told(run_target: Target) -> None:
    run = run_target([described(data=TEXT), record(id=1)], identity_columns={"data.email": "EMAIL"})
    assert run.code == 2
    assert "data is declared as text, so data.email is not in it" in run.stderr


def test_a_path_in_other_capitals_is_told(run_target: Target) -> None:
    streams = {"customers": {"identity_columns": {"Customer.eMail": "EMAIL"}}}
    run = run_target([NESTED, row(1, email=address(1))], streams=streams)
    assert run.code == 2
    assert "It has customer.email: column names are case-sensitive." in run.stderr


def test_a_path_into_what_was_flattened_names_the_column_that_flattening_made(run_target: Target) -> None:
    flat = {"flattening_enabled": True, "flattening_max_depth": 2}
    streams = {"customers": CUSTOMER}
    run = run_target([NESTED, row(1, email=address(1))], streams=streams, **flat)
    assert run.code == 2
    assert "It has customer__email" in run.stderr


def test_a_path_that_a_removal_does_not_need_is_not_read(emulator: Emulator, run_target: Target) -> None:
    run_target([NESTED, row(1, email=address(1)), row(2, email=address(2))], **CUSTOMER)
    settings = {"consent_column": "customer.ok", "streams": {"customers": {"operation": "remove"}}}
    run = run_target([NESTED, row(1, email=address(1)), record(id=3)], **settings, **CUSTOMER)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([2])


# What is not one object, although a setting about the whole row leads through it

MAYBE: dict[str, Any] = {"type": ["string", "number", "integer", "array", "object", "boolean", "null"]}
EITHER = {"anyOf": [objects(ok={}, gone={}, segment=TEXT), arrays(objects(ok={})), {"type": "null"}]}
WHOLE_ROW = {"consent_column": "d.ok", "removal_column": "d.gone", "list_name_column": "d.segment"}
UNREADABLE = '{"ok": true, "gone": null, "segment": "gold"}'


@pytest.mark.parametrize("schema", [MAYBE, EITHER, {}, OPEN], ids=["jsonb", "anyOf", "untyped", "object"])
@pytest.mark.parametrize("setting", sorted(WHOLE_ROW))
def test_a_column_that_may_hold_an_object_takes_a_path_about_the_whole_row(
    emulator: Emulator, run_target: Target, schema: dict[str, Any], setting: str
) -> None:
    whole = {"ok": True, "gone": None, "segment": "customers"}
    rows = [record(id=n, email=address(n), d=whole) for n in range(3)]
    run = run_target([described(email=TEXT, d=schema), *rows], **{setting: WHOLE_ROW[setting]}, **UPSERT)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(3))


@pytest.mark.parametrize(
    ("parent", "rest"),
    [
        (UNREADABLE, {}),
        ([{"ok": True, "gone": None, "segment": "gold"}], {}),
        (True, {}),
        ([{"ok": True}], {"stream_maps": {"customers": {"id": "id"}}}),
        (UNREADABLE, {"validate_records": True}),
    ],
    ids=["text", "array", "boolean", "map", "validated"],
)
@pytest.mark.parametrize("setting", sorted(WHOLE_ROW))
def test_a_row_whose_setting_cannot_be_read_is_bad_and_stays_as_it_was(
    emulator: Emulator, run_target: Target, sent: Sent, setting: str, parent: object, rest: dict[str, Any]
) -> None:
    schema, settings = described(email=TEXT, d=MAYBE), {setting: WHOLE_ROW[setting], **UPSERT, **rest}
    whole = {"ok": True, "gone": None, "segment": "customers"}
    rows = [record(id=n, email=address(n), d=whole) for n in range(8)]
    run = run_target([schema, *rows, state(1)], **settings)
    assert run.code == 0, run.stderr
    sent()
    unread = [record(id=n, email=address(n), d=parent) for n in range(10)]
    run = run_target([schema, *unread, state(2)], **settings)
    assert run.code == 0, run.stderr
    assert sent() == []
    assert members(emulator) == digests(range(8))
    assert f"`{setting}` leads through a value that is not a single object" in run.stderr
    assert "10 values (10 rejected)" in run.stderr


def test_a_mark_that_cannot_be_read_is_told_although_a_stream_map_drops_its_column(
    emulator: Emulator, run_target: Target
) -> None:
    settings = {"removal_column": "d.gone", "stream_maps": {"customers": {"d": "__NULL__"}}, **UPSERT}
    rows = [record(id=1, email=address(1), d="x"), record(id=2, email=address(2), d={"gone": None})]
    run = run_target([described(email=TEXT, d=MAYBE), *rows], **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([2])
    assert "`removal_column` leads through" in run.stderr


def test_a_row_that_refuses_is_removed_although_its_mark_cannot_be_read(emulator: Emulator, run_target: Target) -> None:
    schema = described(email=TEXT, ok={}, d=MAYBE)
    settings = {"consent_column": "ok", "removal_column": "d.gone", **UPSERT}
    rows = [record(id=n, email=address(n), ok=True, d={}) for n in range(3)]
    assert run_target([schema, *rows], **settings).code == 0
    run = run_target([schema, record(id=1, email=address(1), ok=False, d="x")], **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([0, 2])


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_unreadable_mark_in_a_file_is_a_bad_row(
    emulator: Emulator, run_target: Target, tmp_path: Path, kind: str
) -> None:
    schema, settings = described(email=TEXT, d=MAYBE), {"removal_column": "d.gone", **UPSERT}
    rows: list[dict[str, Any]] = [{"id": 1, "email": address(1), "d": [{"gone": None}]}]
    rows += [{"id": n, "email": address(n), "d": None} for n in range(2, 20)]
    run = run_target([schema, batch(kind, write(tmp_path / "f", rows, kind))], **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(2, 20))
    assert "`removal_column` leads through" in run.stderr


# A path that nothing checks but the records

TYPO = {"identity_columns": {"id": "LR_ID", "d.emial": "EMAIL"}}


def documents(count: int, document: object) -> list[dict[str, Any]]:
    return [record(id=n, d=document) for n in range(count)]


@pytest.mark.parametrize("way", [{}, {"stream_maps": {"customers": {"id": "id"}}}])
@pytest.mark.parametrize("rows", [1, 300])
def test_a_misspelt_path_into_an_open_object_is_told_with_the_nearest_key(
    run_target: Target, rows: int, way: dict[str, Any]
) -> None:
    document = {"email": address(1), "name": "x", "emial@example.com": 1}
    run = run_target([described(d=OPEN), *documents(rows, document), state(1)], **TYPO, **way)
    assert (run.code, run.states) == (0, [state(1)["value"]])
    assert "customers: no row had a value at d.emial, which `identity_columns` names. The records" in run.stderr
    assert "have no `emial`, but `email`" in run.stderr
    assert "emial@" not in run.stderr


@pytest.mark.parametrize(
    ("path", "document", "rows", "words"),
    [
        ("d.emial", {"name": "x"}, 11, "no `emial`, and nothing like it"),
        ("d.emial", {"name": "x"}, 10, None),
        ("d.emial", {"emial": None, "email": "x"}, 300, None),
        ("d.emial", None, 300, None),
        ("d.contcat.email", {"contact": {"email": "x"}}, 3, "no `contcat`, but `contact`"),
        ("d.contact.emial", {"contact": {"email": "x"}}, 3, "no `emial`, but `email`"),
        ("d.contacts[].emial", {"contacts": [{"email": "x"}]}, 3, "no `emial`, but `email`"),
        ("d.emial", {"ssn": "x"}, 300, "nothing like it"),
    ],
)
def test_what_the_records_have_in_place_of_a_path(
    run_target: Target, path: str, document: object, rows: int, words: str | None
) -> None:
    columns = {"id": "LR_ID", path: "EMAIL"}
    run = run_target([described(d=OPEN), *documents(rows, document)], identity_columns=columns)
    assert run.code == 0, run.stderr
    assert ("no row had a value at" in run.stderr) == (words is not None)
    assert words is None or words in run.stderr


def test_a_path_that_one_row_has_late_is_no_finding(emulator: Emulator, run_target: Target) -> None:
    rows = [*documents(3000, {"email": "x"}), record(id=-1, d={"emial": address(1)})]
    run = run_target([described(d=OPEN), *rows], identity_columns={"d.emial": "EMAIL"})
    assert run.code == 0
    assert members(emulator) == digests([1])
    assert "no row had" not in run.stderr


@pytest.mark.parametrize("setting", sorted(WHOLE_ROW))
def test_a_misspelt_path_about_the_whole_row_is_told(run_target: Target, setting: str) -> None:
    near = WHOLE_ROW[setting]
    rows = [record(id=n, email=address(n), d={near.removeprefix("d."): None}) for n in range(3)]
    run = run_target([described(email=TEXT, d=OPEN), *rows], **{setting: f"{near}s"})
    assert f"no row had a value at {near}s, which `{setting}` names" in run.stderr
    unlike = run_target([described(email=TEXT, d=OPEN), *rows], **{setting: "d.xyz"})
    assert "no row had" not in unlike.stderr


def test_a_misspelt_column_of_a_schema_without_columns_is_told(run_target: Target) -> None:
    schema = {"type": "SCHEMA", "stream": "customers", "schema": {"type": "object"}, "key_properties": ["_id"]}
    run = run_target([schema, record(_id="a", email=address(1))], identity_columns={"emial": "EMAIL"})
    assert run.code == 0
    assert "no row had a value at emial" in run.stderr
    assert "but `email`" in run.stderr


def test_two_paths_into_open_objects_are_not_taken_for_each_other(run_target: Target) -> None:
    columns = {"d.email1": "EMAIL", "d.email2": "EMAIL"}
    run = run_target([described(d=OPEN), *documents(3, {"email1": address(1)})], identity_columns=columns)
    assert run.code == 0
    assert "no row had" not in run.stderr


def test_a_file_of_columns_without_the_field_is_told(run_target: Target, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": n, "d": {"email": address(n)}} for n in range(20)]
    run = run_target([described(d=OPEN), batch("parquet", write(tmp_path / "f", rows, "parquet"))], **TYPO)
    assert run.code == 0, run.stderr
    assert "no row had a value at d.emial" in run.stderr


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_a_stream_of_json_in_text_is_told_however_few_rows_it_has(run_target: Target, rows: int) -> None:
    stream = [described(emails=TEXT), *(record(id=n, emails=json.dumps([address(n)])) for n in range(rows))]
    run = run_target(stream, identity_columns={"emails": "EMAIL"})
    assert run.code == 0
    who = f"all {rows} values in column emails were" if rows > 1 else "the only value in column emails was"
    assert f"{who} rejected. " in run.stderr
    assert "text that holds JSON. The target does not parse JSON inside text" in run.stderr


def test_arrays_in_arrays_are_told(run_target: Target) -> None:
    rows = [record(id=1, emails=[[address(1)]])]
    run = run_target([described(emails=arrays(arrays(TEXT))), *rows], identity_columns={"emails[]": "EMAIL"})
    assert "The target does not take arrays in arrays apart" in run.stderr


def test_a_few_bad_values_in_a_stream_with_good_ones_get_no_more_than_their_reason(run_target: Target) -> None:
    rows = [record(id=n, email=address(n), idfa="x") for n in range(3)]
    run = run_target([described(email=TEXT, idfa=TEXT), *rows])
    assert "rejected: 3 in column idfa" in run.stderr
    assert "values in column idfa" not in run.stderr
