"""Which streams feed a list: the real process, against the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import Sent, members
from tests.support.messages import address, digests, people, record, schema, state
from tests.support.processes import Target

CUSTOMERS = [schema("email"), *people([1, 2])]
UPSERT = {"load_method": "upsert"}


def names(emulator: Emulator) -> set[str]:
    return {each.name for each in emulator.backend.customer_lists()}


# A name that is meant for a stream, but does not match it


@pytest.mark.parametrize("columns", ["email", "mail"])
@pytest.mark.parametrize("name", ["public-unsubscribes", "Unsubscribes", "unsub-scribes", "Unsub*"])
def test_a_stream_with_remove_under_a_similar_name_adds_nobody(
    emulator: Emulator, run_target: Target, sent: Sent, name: str, columns: str
) -> None:
    gone = [schema(columns, stream="unsubscribes"), record("unsubscribes", id=1, **{columns: address(1)})]
    run = run_target([*CUSTOMERS, *gone, state(1)], streams={name: {"operation": "remove"}})
    assert (run.code, run.states) == (2, [])
    assert f"`streams` has settings for `{name}`, but the tap sent stream unsubscribes" in run.stderr
    assert f"Write `{name.lower() if '*' in name else 'unsubscribes'}` there" in run.stderr
    assert "unsubscribes" not in names(emulator)
    assert sent() == []


@pytest.mark.parametrize("named", [{}, {"stg_unsubscribes": {}}, {"stg_*": {}}])
def test_a_stream_that_an_entry_with_remove_nearly_names_must_be_confirmed(
    emulator: Emulator, run_target: Target, named: dict[str, Any]
) -> None:
    came = [schema("email", stream="stg_unsubscribes"), *people([1], "stg_unsubscribes")]
    log = [schema("page", stream="unsubscribes_log"), record("unsubscribes_log", id=1, page="x")]
    run = run_target([*log, *came], streams={"unsubscribes": {"operation": "remove"}, **named})
    assert run.code == (0 if named else 2), run.stderr
    assert ("whose people would be added" in run.stderr) is (not named)
    assert ("stg_unsubscribes" in names(emulator)) is bool(named)


def test_a_pattern_does_not_hide_a_similar_name(run_target: Target) -> None:
    settings = {"streams": {"*": {}, "Unsubscribes": {"operation": "remove"}}}
    run = run_target([schema("email", stream="unsubscribes"), *people([1], "unsubscribes")], **settings)
    assert run.code == 2
    assert "`Unsubscribes`" in run.stderr


def test_a_name_from_before_stream_maps_is_refused(run_target: Target, sent: Sent) -> None:
    maps = {"unsubscribes": {"__alias__": "gone"}}
    stream = [schema("email", stream="unsubscribes"), *people([1], "unsubscribes")]
    run = run_target(stream, stream_maps=maps, streams={"unsubscribes": {"operation": "remove"}})
    assert (run.code, sent()) == (2, [])
    assert "Write `gone` there" in run.stderr
    renamed = run_target(stream, stream_maps=maps, streams={"gone": {}})
    assert (renamed.code, "had no such stream" in renamed.stderr) == (0, False)


def test_two_streams_with_similar_names_can_both_have_settings(emulator: Emulator, run_target: Target) -> None:
    both = {"Customers": {"customer_list_name": "A"}, "customers": {"customer_list_name": "B"}}
    stream = [*CUSTOMERS, schema("email", stream="Customers"), *people([3], "Customers"), *CUSTOMERS[:1]]
    run = run_target(stream, streams=both)
    assert run.code == 0, run.stderr
    assert (members(emulator, "A"), members(emulator, "B")) == (digests([3]), digests([1, 2]))
    alone = run_target(CUSTOMERS, streams=both)
    assert alone.code == 0
    assert "`streams` has settings for Customers, but the input had no such stream" in alone.stderr


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        ("Customers", {"Customers": {"__filter__": "id > 1"}}),
        ("public-customers", {"public-customers": {"__filter__": "id > 1"}}),
        ("Customers", {"vip": {"__source__": "Customers", "__filter__": "id > 1"}}),
        ("Custom*", {"Custom*": {"__filter__": "id > 1"}}),
        ("buyers", {"customers": {"__alias__": "buyers"}, "buyers": {"__filter__": "id > 1"}}),
        ("Customers", {"*": {"name": "__NULL__"}, "Customers": None}),
    ],
)
def test_a_stream_map_under_a_similar_name_is_refused(
    run_target: Target, sent: Sent, name: str, maps: dict[str, Any]
) -> None:
    run = run_target([schema("email", "name"), *people([1, 2])], stream_maps=maps)
    assert (run.code, sent()) == (2, [])
    assert f"`stream_maps` has `{name}`" in run.stderr


def test_a_stream_map_for_a_stream_that_never_arrived_is_reported(run_target: Target) -> None:
    maps = {"orders": {"__filter__": "paid"}, "customers": {"__filter__": "id > 1"}, "vip": {"__source__": "customers"}}
    run = run_target([*CUSTOMERS, state(1)], stream_maps=maps)
    assert run.code == 0, run.stderr
    assert run.stderr.count("had no such stream") == 1
    assert "`stream_maps` has settings for orders, but the input had no such stream" in run.stderr


# Patterns


def test_patterns_give_settings_to_the_streams_that_they_match(emulator: Emulator, run_target: Target) -> None:
    streams = {
        "*": {"customer_list_name": "L"},
        "public-*unsub*": {"operation": "remove"},
        "public-leads": {"customer_list_name": "M"},
    }
    stream = [
        schema("email", stream="public-customers"), *people([1, 2], "public-customers"),
        schema("email", stream="public-leads"), *people([3], "public-leads"),
        schema("email", stream="public-unsubscribes"), *people([1], "public-unsubscribes"),
    ]  # fmt: skip
    run = run_target(stream, streams=streams, **UPSERT)
    assert run.code == 0, run.stderr
    assert (members(emulator, "L"), members(emulator, "M")) == (digests([2]), digests([3]))


def test_contradicting_patterns_are_refused(run_target: Target, sent: Sent) -> None:
    streams = {"cust*": {"customer_list_name": "A"}, "*mers": {"customer_list_id": "17"}, "other*": {}}
    run = run_target(CUSTOMERS, streams=streams)
    assert (run.code, sent()) == (2, [])
    assert "`streams.cust*.customer_list_name` and `streams.*mers.customer_list_id` disagree" in run.stderr


# Streams without identities


@pytest.mark.parametrize("column", ["Work E-Mail", "Email__c", "billing_email"])
def test_a_run_whose_streams_have_no_identities_fails_and_writes_no_state(
    emulator: Emulator, run_target: Target, column: str
) -> None:
    stream = [state(0), schema(column), record(id=1, **{column: address(1)}), state(1)]
    run = run_target(stream, **UPSERT)
    assert (run.code, run.states, emulator.backend.calls) == (2, [], [])
    last = run.stderr.splitlines()[-1]
    assert f"`{column}` of stream customers" in last
    assert f'`identity_columns` to {{"{column}": "EMAIL"}}' in last
    assert "`unmapped_streams: warn`" in last
    warned = run_target(stream, unmapped_streams="warn")
    assert (warned.code, [each["bookmarks"]["at"] for each in warned.states]) == (0, [0, 1])
    assert warned.stderr.count("Stream customers: it is skipped") == 1


def test_no_column_is_near_if_none_looks_like_an_identity(run_target: Target) -> None:
    run = run_target([schema("city"), record(id=1, city="Rome"), state(1)])
    assert (run.code, run.states) == (2, [])
    assert "No stream of the run (customers) has an identity column" in run.stderr
    assert "nearest" not in run.stderr


@pytest.mark.parametrize("maps", [{"customers": None}, {"orders": {}, "__else__": None}])
def test_a_run_whose_streams_are_all_dropped_has_no_identities(run_target: Target, maps: dict[str, Any]) -> None:
    run = run_target([*CUSTOMERS, state(1)], stream_maps=maps)
    assert (run.code, run.states) == (2, [])
    assert "`stream_maps` drops all of them" in run.stderr


def test_a_column_of_a_flattened_object_can_be_the_nearest(run_target: Target) -> None:
    nested = schema(stream="contacts")
    nested["schema"]["properties"]["properties"] = {"type": "object", "properties": {"email": {"type": "string"}}}
    stream = [nested, record("contacts", id=1, properties={"email": address(1)}), state(1)]
    run = run_target(stream, flattening_enabled=True, flattening_max_depth=2)
    assert (run.code, run.states) == (2, [])
    assert '{"properties__email": "EMAIL"}' in run.stderr


def test_states_wait_for_the_first_stream_with_identities(run_target: Target) -> None:
    stream = [state(0), schema("city", stream="cities"), record("cities", id=1, city="Rome"), state(1)]
    broken = run_target([*stream, {"type": "RECORD"}])
    assert (broken.code, broken.states) == (8, [])
    run = run_target([*stream, *CUSTOMERS, state(2)])
    assert run.code == 0
    assert run.states[-1] == state(2)["value"]
    assert "Stream cities: it is skipped" in run.stderr


def test_a_stream_without_identities_beside_one_with_them_is_skipped(emulator: Emulator, run_target: Target) -> None:
    people_of = schema("Work E-Mail", stream="staff")
    changed = [schema("Work E-Mail", f"column{n}", stream="staff") for n in range(5)]
    run = run_target([people_of, people_of, record("staff", id=1), *changed, *CUSTOMERS, state(1)])
    assert (run.code, run.states) == (0, [state(1)["value"]])
    assert run.stderr.count("Stream staff: it is skipped") == 1
    assert '"streams": {"staff": {"identity_columns": {"Work E-Mail": "EMAIL"}}}' in run.stderr
    assert members(emulator) == digests([1, 2])


def test_a_run_without_any_stream_is_not_refused(run_target: Target) -> None:
    assert run_target([]).code == 0
    quiet = run_target([state(1)])
    assert (quiet.code, quiet.states) == (0, [state(1)["value"]])


def test_the_columns_of_the_top_level_are_not_required_of_a_parent_stream(
    emulator: Emulator, run_target: Target
) -> None:
    parent = [schema("name", stream="lists"), record("lists", id=1, name="x")]
    child = [schema("mail", stream="list_members"), record("list_members", id=1, mail=address(1)), state(1)]
    settings = {"identity_columns": {"mail": "EMAIL"}, **UPSERT}
    for _ in range(2):
        run = run_target([*parent, *child], **settings)
        assert (run.code, run.states) == (0, [state(1)["value"]]), run.stderr
        assert "Stream lists: it is skipped, because none of its columns (name, id) is in" in run.stderr
    assert members(emulator, "list_members") == digests([1])
    alone = run_target([*parent, state(2)], **settings)
    assert (alone.code, alone.states) == (2, [])


def test_a_known_stream_that_lost_its_columns_is_refused(run_target: Target) -> None:
    settings = {"identity_columns": {"mail": "EMAIL"}, "streams": {"leads": {}}, **UPSERT}
    leads = [schema("mail", stream="leads"), record("leads", id=1, mail=address(9))]
    first = [schema("mail"), record(id=1, mail=address(1))]
    assert run_target([*first, *leads], **settings).code == 0
    run = run_target([*first, schema("email", stream="leads"), state(1)], **settings)
    assert (run.code, run.states) == (2, [])
    assert "Stream leads no longer has an identity column" in run.stderr
    assert "It has the columns email, id." in run.stderr


def test_a_source_that_all_streams_share_does_not_make_each_of_them_known(run_target: Target) -> None:
    stream = [schema("name", stream="lists"), record("lists", id=1, name="x"), *CUSTOMERS]
    for _ in range(2):
        assert run_target(stream, source_name="crm", **UPSERT).code == 0


def test_columns_set_for_one_stream_are_required_there(run_target: Target, sent: Sent) -> None:
    streams = {"customers": {"identity_columns": {"mail": "EMAIL"}}}
    run = run_target(CUSTOMERS, streams=streams)
    assert (run.code, sent()) == (2, [])
    assert "none of the columns in `identity_columns` (mail)" in run.stderr


@pytest.mark.parametrize("name", ["unsubscribes", "unsub*"])
def test_a_stream_with_remove_needs_identities(run_target: Target, sent: Sent, name: str) -> None:
    stream = [schema("login", stream="unsubscribes"), record("unsubscribes", id=1, login=address(1)), state(1)]
    run = run_target([*CUSTOMERS, *stream], streams={name: {"operation": "remove"}})
    assert (run.code, run.states, sent()) == (2, [], [])
    assert "Stream unsubscribes is to remove people (`operation` under `streams`), but has no identity" in run.stderr


# Columns that look like addresses


@pytest.mark.parametrize("column", ["Work E-Mail", "Email__c", "lead__email", "billing_email"])
def test_a_column_of_addresses_beside_device_ids_is_one_warning(run_target: Target, column: str) -> None:
    message = schema("idfa", column)
    run = run_target([message, schema("city", column, "idfa"), message])
    assert run.code == 0
    assert run.stderr.count(f"Column `{column}` may hold e-mail addresses") == 1
    assert f'{{"customers": {{"identity_columns": {{"idfa": "IDFA", "{column}": "EMAIL"}}}}}}' in run.stderr


def test_a_column_of_addresses_is_not_a_warning_if_it_is_not_needed(run_target: Target) -> None:
    for stream, settings in (
        (schema("email", "billing_email"), {}),
        (schema("idfa", "billing_email"), {"identity_columns": {"idfa": "IDFA"}}),
        (schema("idfa", "email_list"), {"list_name_column": "email_list"}),
        (schema("idfa", "city"), {}),
    ):
        assert "may hold e-mail addresses" not in run_target([stream], **settings).stderr


# A second stream with identities

STAFF = [schema("email", stream="staff"), *people([7], "staff"), state(1)]


@pytest.mark.parametrize("settings", [{}, {"customer_list_name": "Newsletter"}, {"streams": {"customers": {}}}])
@pytest.mark.parametrize("source_name", [None, "all"])
def test_a_second_stream_that_nobody_named_feeds_no_list(
    emulator: Emulator, run_target: Target, sent: Sent, settings: dict[str, Any], source_name: str | None
) -> None:
    run = run_target([*CUSTOMERS, *STAFF], source_name=source_name, **settings)
    assert (run.code, run.states, sent(), names(emulator)) == (2, [], [], set())
    assert 'confirm it with "streams": {"staff": {}}' in run.stderr


@pytest.mark.parametrize("streams", [{"staff": {}}, {"*": {}}, {"st*": {}}])
def test_a_second_stream_that_is_named_feeds_a_list(
    emulator: Emulator, run_target: Target, streams: dict[str, Any]
) -> None:
    run = run_target([*CUSTOMERS, *STAFF], streams=streams)
    assert run.code == 0, run.stderr
    assert (members(emulator), members(emulator, "staff")) == (digests([1, 2]), digests([7]))


def test_a_repeated_or_changed_schema_is_not_a_second_stream(run_target: Target) -> None:
    stream = [*CUSTOMERS, *CUSTOMERS, schema("city"), schema("email", "idfa"), *people([3])]
    assert run_target([*stream, schema("city", stream="orders")]).code == 0


@pytest.mark.parametrize(
    "maps",
    [
        {"customers": {"__filter__": "id < 2"}, "vip": {"__source__": "customers", "__filter__": "id > 1"}},
        {"customers": {}, "staff": {"__alias__": "colleagues"}},
    ],
)
def test_an_output_named_by_stream_maps_counts_as_named(run_target: Target, maps: dict[str, Any]) -> None:
    rest = STAFF if "staff" in maps else []
    run = run_target([*CUSTOMERS, *rest], stream_maps=maps)
    assert run.code == 0, run.stderr


@pytest.mark.parametrize(
    "maps",
    [
        {"staff": {"name": "__NULL__"}},
        {"*": {"__alias__": "everybody"}},
        {"everybody": {"__source__": "*"}, "customers": None, "staff": None},
    ],
)
def test_an_output_that_stream_maps_do_not_name_counts_as_unnamed(
    run_target: Target, sent: Sent, maps: dict[str, Any]
) -> None:
    staff = [schema("email", "name", stream="staff"), *people([7], "staff")]
    run = run_target([*CUSTOMERS, *staff], stream_maps=maps)
    assert (run.code, sent()) == (2, []), run.stderr
    assert "deselect it in the tap" in run.stderr.lower()
