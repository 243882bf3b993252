"""What a stream may look like, and what is made of it: the real process, against the emulator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import members
from tests.support.messages import address, digests, people, record, schema, sha256, state
from tests.support.processes import Target


@pytest.mark.parametrize(
    "settings", [{"removal_column": "gone"}, {"streams": {"customers": {"removal_column": "gone"}}}]
)
def test_a_missing_removal_column_ends_the_run_before_anything_is_sent(
    emulator: Emulator, run_target: Target, settings: dict[str, Any]
) -> None:
    run = run_target([schema("email"), *people([1])], **settings)
    assert run.code == 2
    assert "Stream customers has no column gone, which `removal_column` names" in run.stderr
    assert emulator.backend.calls == []


def test_the_default_removal_column_may_be_missing(run_target: Target) -> None:
    # Meltano hands over defaults as if they were set.
    run = run_target([schema("email"), *people([1])], removal_column="_sdc_deleted_at")
    assert run.code == 0
    assert "removal_column" not in run.stderr


def test_each_stream_with_identities_needs_the_removal_column_of_the_top_level(
    emulator: Emulator, run_target: Target
) -> None:
    others = [schema("email", stream="leads"), *people([2], "leads")]
    stream = [schema("city", stream="orders"), schema("email", "gone"), *people([1]), *others]
    both: dict[str, Any] = {"customers": {}, "leads": {}}
    run = run_target(stream, removal_column="gone", streams=both)
    assert run.code == 2
    assert "Stream leads has no column gone" in run.stderr
    assert "set `streams.leads.removal_column` to `_sdc_deleted_at`" in run.stderr
    both["leads"] = {"removal_column": "_sdc_deleted_at"}
    assert run_target(stream, removal_column="gone", streams=both).code == 0
    assert (members(emulator), members(emulator, "leads")) == (digests([1]), digests([2]))


def test_unused_columns_that_look_like_deletion_marks_are_named_once(run_target: Target) -> None:
    message = schema("email", "IS_DELETED", "_sdc_lsn_deleted_at", "_sdc_deleted_at", "deleted_at", "dated")
    run = run_target([message, *people([1]), message], removal_column="deleted_at")
    assert run.code == 0
    assert run.stderr.count("may mark deleted rows") == 1
    assert "column IS_DELETED and column _sdc_lsn_deleted_at may mark deleted rows, and are not used" in run.stderr


@pytest.mark.parametrize(
    ("settings", "code", "hint"),
    [
        ({"identity_columns": {"mail": "EMAIL"}}, 2, "It has MAIL: column names are case-sensitive."),
        ({"identity_columns": {"email": "EMAIL", "idfa": "IDFA"}}, 0, "has no column idfa, which `identity_columns`"),
        ({"consent_column": "ok"}, 2, "It has Ok: column names are case-sensitive."),
        ({"list_name_column": "segment"}, 2, "It has SEGMENT: column names are case-sensitive."),
    ],
)
def test_a_column_whose_name_differs_only_in_case_is_named(
    run_target: Target, settings: dict[str, Any], code: int, hint: str
) -> None:
    run = run_target([schema("email", "MAIL", "IDFA", "Ok", "SEGMENT"), *people([1])], **settings)
    assert run.code == code
    assert hint in run.stderr


def test_settings_for_a_stream_that_never_arrived_are_reported(run_target: Target) -> None:
    run = run_target([schema("email"), *people([1])], streams={"custmers": {"operation": "remove"}, "customers": {}})
    assert run.code == 0
    assert "`streams` has settings for custmers, but the input had no such stream (it had: customers)" in run.stderr
    assert "settings for customers" not in run.stderr


def test_a_warning_about_a_stream_is_logged_once_however_often_its_schema_changes(run_target: Target) -> None:
    stream = [schema("email", "deleted", f"column{n % 7}") for n in range(50)]
    assert run_target(stream).stderr.count("may mark deleted rows") == 1


@pytest.mark.parametrize(
    "maps",
    [
        {"customers": {"id": "id", "email": "email", "__else__": "__NULL__"}},
        {"customers": {"_sdc_deleted_at": "__NULL__"}},
    ],
)
def test_a_stream_map_that_drops_the_removal_column_adds_nobody(
    emulator: Emulator, run_target: Target, maps: dict[str, Any]
) -> None:
    rows = [*people([1]), record(id=2, email=address(2), _sdc_deleted_at="2026-11-21T00:00:00Z")]
    run = run_target([schema("email", "_sdc_deleted_at"), *rows], stream_maps=maps)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([1])


@pytest.mark.parametrize("unset", [None, False, 0, "", "false", "0"])
def test_a_removal_column_that_means_no_does_not_delete(emulator: Emulator, run_target: Target, unset: object) -> None:
    run = run_target([schema("email", "gone"), record(id=1, email=address(1), gone=unset)], removal_column="gone")
    assert run.code == 0
    assert members(emulator) == digests([1])


def test_the_order_of_additions_and_removals_survives_a_change_of_schema(
    emulator: Emulator, run_target: Target
) -> None:
    stream = [
        schema("email"),
        *people([1, 2]),
        schema("email", "city", "_sdc_deleted_at"),
        record(id=1, email=address(1), city="Rome", _sdc_deleted_at="2026-11-21"),
        schema("email", "city"),
        *people([2, 3]),
    ]
    run = run_target(stream)
    assert run.code == 0
    assert members(emulator) == digests([2, 3])


@pytest.mark.parametrize("key", [None, math.nan])
def test_a_row_with_a_null_key_is_rejected(emulator: Emulator, run_target: Target, key: object) -> None:
    run = run_target([schema("email"), record(id=key, email=address(1)), *people([2])])
    assert run.code == 0
    assert members(emulator) == digests([2])
    assert "key property is null" in run.stderr


def test_a_row_that_violates_its_schema_is_rejected_if_rows_are_validated(
    emulator: Emulator, run_target: Target
) -> None:
    rows = [record(id="one", email=address(1)), *people([2])]
    run = run_target([schema("email"), *rows], validate_records=True)
    assert run.code == 0
    assert members(emulator) == digests([2])
    assert run_target([schema("email"), *rows]).code == 0
    assert members(emulator) == digests([1, 2])


def test_a_bad_date_in_another_column_costs_nothing(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "born")
    message["schema"]["properties"]["born"] = {"type": ["string", "null"], "format": "date-time"}
    assert run_target([message, record(id=1, email=address(1), born="never")]).code == 0
    assert members(emulator) == digests([1])


@pytest.mark.parametrize("add_record_metadata", [True, False])
def test_stream_maps_can_filter_rename_and_compute(
    emulator: Emulator, run_target: Target, *, add_record_metadata: bool
) -> None:
    maps = {"customers": {"__alias__": "buyers", "__filter__": "id > 1", "email": "mail.lower()", "mail": "__NULL__"}}
    rows = [record(id=n, mail=address(n).upper()) for n in range(4)]
    run = run_target([schema("mail"), *rows], stream_maps=maps, add_record_metadata=add_record_metadata)
    assert run.code == 0, run.stderr
    assert members(emulator, "buyers") == digests([2, 3])


def test_two_streams_under_one_alias_keep_their_own_columns(emulator: Emulator, run_target: Target) -> None:
    idfa = "EA7583CD-B890-48BC-8F00-0123456789AB"
    maps = {"a": {"__alias__": "people"}, "b": {"__alias__": "people"}}
    stream = [schema("email", stream="a"), schema("idfa", stream="b"), *people([1], "a")]
    stream += [record("b", id=1, idfa=idfa), *people([2], "a"), state(1)]
    run = run_target(stream, stream_maps=maps)
    assert run.code == 0, run.stderr
    assert members(emulator, "people") == digests([1, 2]) | {sha256(idfa)}


def test_one_stream_split_into_two_goes_to_two_lists(emulator: Emulator, run_target: Target) -> None:
    maps = {"customers": {"__filter__": "id < 3"}, "others": {"__source__": "customers", "__filter__": "id > 2"}}
    run = run_target([schema("email"), *people(range(6)), state(1)], stream_maps=maps)
    assert run.code == 0, run.stderr
    assert (members(emulator), members(emulator, "others")) == (digests(range(3)), digests(range(3, 6)))


def test_a_schema_that_loses_or_gains_its_identities_is_reported(run_target: Target) -> None:
    lost = run_target([schema("email"), *people([1]), schema("login"), record(id=2, login=address(2))])
    assert (
        "Stream customers: it is skipped, because none of its columns (login, id) is named like an identity"
        in lost.stderr
    )
    gained = run_target([schema("login"), schema("email"), *people([1])])
    assert "1 value (1 to add)" in gained.stderr


def test_a_closed_schema_does_not_reject_the_columns_that_the_sdk_takes_out(
    emulator: Emulator, run_target: Target
) -> None:
    message = schema("email", "_sdc_deleted_at")
    message["schema"]["additionalProperties"] = False
    run = run_target([message, record(id=1, email=address(1), _sdc_deleted_at=None)], validate_records=True)
    assert run.code == 0
    assert members(emulator) == digests([1])


def test_a_column_that_no_stream_has_is_reported(run_target: Target) -> None:
    run = run_target([schema("email"), *people([1])], identity_columns={"email": "EMAIL", "iosid": "IDFA"})
    assert "No stream had the column iosid" in run.stderr


def test_the_stream_of_meltano_config_test_passes_with_any_settings(run_target: Target) -> None:
    stream = [schema("name", stream="meltano_test_stream"), record("meltano_test_stream", id=1, name="x"), state(1)]
    run = run_target(stream, identity_columns={"mail": "EMAIL"})
    assert run.code == 0
    assert "error" not in run.stderr.lower()
    assert "exception" not in run.stderr.lower()


def test_a_warning_says_if_a_map_drops_a_stream_that_fed_a_list(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    rows = [schema("email", "_sdc_deleted_at"), *people(range(3)), state(1)]
    run_target(rows, load_method="upsert")
    gone = [schema("email", "_sdc_deleted_at"), record(id=1, _sdc_deleted_at="2026-11-30"), state(1)]
    settings = {"load_method": "upsert", "stream_maps": {"customers": None}, "unmapped_streams": "warn"}
    run = run_target(gone, **settings, streams={"customers": {"operation": "remove"}})
    assert "`stream_maps` drops stream customers, from which earlier runs added people to customer list" in run.stderr
    assert "`streams` has settings for customers, but `stream_maps` drops that stream." in run.stderr
    assert "no such stream" not in run.stderr
    assert members(emulator) == digests(range(3))
    assert (
        "drops stream"
        not in run_target([*rows[:2], *gone], **settings, ledger_url=f"sqlite:///{tmp_path}/other.db").stderr
    )


@pytest.mark.parametrize("maps", [{"orders": None}, {"orders": "__NULL__"}, {"customers": {}, "__else__": None}])
def test_a_stream_that_is_mapped_away_needs_no_identities(
    emulator: Emulator, run_target: Target, maps: dict[str, Any]
) -> None:
    stream = [schema("city", stream="orders"), schema("mail"), record("orders", id=1, city="Rome"), state(1)]
    stream += [record(id=1, mail=address(1))]
    run = run_target(stream, stream_maps=maps, identity_columns={"mail": "EMAIL"})
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([1])


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"customers": {"email": "mail.lower()"}}, "fails for the record of stream customers on line 3"),
        ({"customers": {"id": "__NULL__"}}, "cannot be used for stream customers"),
        ({"customers": {"email": "((("}}, "cannot be used for stream customers"),
        ({"customers": {"__else__": "keep"}}, "`stream_maps`"),
        ({"__odd__": {}}, "`stream_maps` or the flattening settings cannot be used"),
    ],
)
def test_an_invalid_stream_map_exits_2(run_target: Target, maps: dict[str, Any], words: str) -> None:
    rows = [record(id=1, mail=address(1)), record(id=2, mail=None)]
    run = run_target([schema("mail"), *rows], stream_maps=maps)
    assert run.code == 2
    assert words in run.stderr
    assert address(1) not in run.stderr


def test_activate_version_changes_nothing(emulator: Emulator, run_target: Target) -> None:
    version = {"type": "ACTIVATE_VERSION", "stream": "customers", "version": 1}
    run = run_target([schema("email"), version, *people([1]), version])
    assert run.code == 0
    assert members(emulator) == digests([1])


def test_a_stream_map_can_read_columns_that_only_some_records_have(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "event", "backup")
    maps = {"customers": {"gone": "event == 'deleted'", "email": "(email or backup or '').lower()"}}
    settings = {"stream_maps": maps, "removal_column": "gone", "load_method": "upsert"}
    first = [record(id=n, email=address(n).upper()) for n in range(4)]
    assert run_target([message, *first], **settings).code == 0
    assert members(emulator) == digests(range(4))
    # Nothing is said of the first one's address, the second has none any more, and the third is gone.
    second = [record(id=0, event="seen"), record(id=1, email=None, backup=None), record(id=2, event="deleted")]
    run = run_target([message, *second, state(1)], **settings)
    assert run.code == 0, run.stderr
    assert members(emulator) == digests([0, 3])


def test_an_address_that_cannot_exist_is_noted_and_a_digest_of_nothing_rejected(run_target: Target) -> None:
    rows = [record(id=1, email="bob@-example.com"), record(id=2, email=sha256("None")), *people([3])]
    run = run_target([schema("email"), *rows])
    assert run.code == 0
    assert "note: 1 in column email: an address that cannot exist" in run.stderr
    assert "rejected: 1 in column email: the digest of an empty value, of a word such as null" in run.stderr
    assert "-example" not in run.stderr
