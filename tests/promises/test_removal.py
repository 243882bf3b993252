"""A removed person is really removed, and stays out: deletes, withdrawn consent, streams of `operation: remove`."""

from __future__ import annotations

from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent, Write, members
from tests.support.messages import address, deleted, digests, people, record, schema, state
from tests.support.processes import Companion, Target

GONE = schema("email", "_sdc_deleted_at")
ASKED = schema("email", "consent", "_sdc_deleted_at")
CONSENT = {"consent_column": "consent"}


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "load_method"}


def person(number: int, consent: object, email: str | None = None) -> dict[str, Any]:
    return record(id=number, email=email or address(number), consent=consent)


def test_a_delete_with_only_the_key_removes_the_person(emulator: Emulator, run_target: Target, sent: Sent) -> None:
    run_target([GONE, *people(range(5))])
    run_target([GONE, deleted(1), deleted(2, email=None), deleted(77)])
    assert members(emulator) == digests([0, 3, 4])
    sent()
    run_target([GONE, deleted(1), deleted(2, email=None)])
    assert sent() == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"customer_list_name": "another"}),
        ({}, {"one_list_per_type": True}),
        ({"customer_list_name": "first"}, {"customer_list_name": "another", "create_audience": False}),
    ],
)
def test_a_delete_reaches_lists_that_the_settings_no_longer_name(
    emulator: Emulator, run_target: Target, before: dict[str, Any], after: dict[str, Any]
) -> None:
    message = schema("email", "lr_id", "_sdc_deleted_at")
    rows = [record(id=n, email=address(n), lr_id=f"L{n}") for n in (1, 2)]
    run_target([message, *rows], **before)
    run_target([message, rows[0]], **after)
    assert run_target([message, deleted(1)], **after).code == 0
    left = [emulator.backend.members(each.id) for each in emulator.backend.customer_lists()]
    assert frozenset().union(*left) == digests([2]) | {"L2"}


def test_a_list_of_former_settings_may_belong_to_another_stream_now(emulator: Emulator, run_target: Target) -> None:
    schemas = [schema("email", "_sdc_deleted_at", stream=name) for name in ("a", "b")]
    run_target([*schemas, *people([1, 2], "a"), *people([3], "b")], customer_list_name="L", streams={"b": {}})
    emulator.backend.inject(Fault(method="PATCH", status=500))
    assert run_target([schemas[0], deleted(1, "a")], customer_list_name="L", max_retries=0).code == 4
    settings = {"streams": {"a": {"customer_list_name": "M"}, "b": {}}, "customer_list_name": "L"}
    run = run_target([schemas[0], deleted(2, "a"), schemas[1], *people([4], "b")], **settings)
    assert run.code == 0, run.stderr
    assert members(emulator, "L") == digests([3, 4])


def test_people_whose_list_could_not_be_created_are_sent_later(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.inject(Fault(method="POST", path="/customer_lists$", status=403, times=1))
    assert run_target([GONE, *people([1])], customer_list_name="L").code == 3
    assert run_target([GONE, *people([1])], customer_list_name="M").code == 0
    assert run_target([GONE, *people([1, 2])], customer_list_name="L").code == 0
    assert members(emulator, "L") == digests([1, 2])


def test_an_identity_that_another_row_contributes_stays_on_the_list(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    run_target([GONE, *[record(id=n, email=address(0)) for n in (1, 2, 3)]])
    sent()
    run_target([GONE, deleted(1), deleted(2, email=address(0))])
    assert sent() == []
    run_target([GONE, deleted(3)])
    assert members(emulator) == frozenset()


def test_a_delete_removes_the_unknown_people_it_names_and_only_once(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    emulator.backend.create_list("customers", digests([8, 9]))
    stream = [GONE, *people([1]), deleted(8, email=address(8))]
    run_target(stream)
    assert members(emulator) == digests([1, 9])
    sent()
    run = run_target(stream)
    assert sent() == []
    assert "1 named for removal" in run.stderr
    run_target([GONE, *people([8]), deleted(8, email=address(8)), *people([8])])
    assert members(emulator) == digests([1, 8, 9])


def test_deletes_have_a_ceiling_of_their_own_and_refusals_have_none(emulator: Emulator, run_target: Target) -> None:
    run_target([ASKED, *[person(n, 1) for n in range(100)]], **CONSENT)
    rows = [deleted(n) for n in range(50)] + [person(n, 0) for n in range(50, 99)]
    run = run_target([ASKED, *rows], max_removal_percent=0, **CONSENT)
    assert run.code == 0
    assert members(emulator) == digests([99])


@pytest.mark.parametrize("order", [1, -1])
def test_one_refusal_keeps_a_person_off_whatever_other_rows_say(
    emulator: Emulator, run_target: Target, order: int
) -> None:
    message = schema("email", "consent")
    refusing, agreeing = person(1, "no", address(0)), person(2, "yes", address(0))
    rows = [refusing, agreeing][::order]
    run_target([message, agreeing, person(9, "yes")], **CONSENT)
    for _ in range(3):
        run = run_target([message, *rows, person(9, "yes")], **CONSENT)
        assert run.code == 0
        assert members(emulator) == digests([9])
    run_target([message, person(1, "yes", address(0))], **CONSENT)
    assert members(emulator) == digests([0, 9])


@pytest.mark.parametrize("delete", [deleted(1), deleted(1, email=address(0), consent="yes"), deleted(1, consent=None)])
def test_a_refusal_outlives_the_deletion_of_its_row(
    emulator: Emulator, run_target: Target, delete: dict[str, Any]
) -> None:
    run_target([ASKED, person(1, "no", address(0)), person(2, "yes", address(0)), person(9, "yes")], **CONSENT)
    run_target([ASKED, delete], **CONSENT)
    run_target([ASKED, person(2, "yes", address(0)), person(3, "yes", address(0))], **CONSENT)
    assert members(emulator) == digests([9])


def test_a_deleted_row_that_says_no_refuses(emulator: Emulator, run_target: Target) -> None:
    run_target([ASKED, person(1, "yes", address(0)), person(2, "yes", address(0)), person(9, "yes")], **CONSENT)
    run_target([ASKED, deleted(1, consent="no")], **CONSENT)
    assert members(emulator) == digests([9])


def test_deleting_one_of_two_that_share_an_address_changes_nothing_for_the_other(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    run_target([ASKED, person(2, 1, address(0)), person(3, 1, address(0))], **CONSENT)
    sent()
    run_target([ASKED, deleted(2, email=address(0))], **CONSENT)
    assert sent() == []
    assert members(emulator) == digests([0])


def test_a_row_refuses_what_it_names_and_what_it_contributed(emulator: Emulator, run_target: Target) -> None:
    run_target([ASKED, person(1, 1), person(2, 1, address(1)), person(3, 1, address(4)), person(9, 1)], **CONSENT)
    run_target([ASKED, person(1, 0, address(4))], **CONSENT)
    assert members(emulator) == digests([9])
    run_target([ASKED, person(1, 1, address(5))], **CONSENT)
    assert members(emulator) == digests([1, 4, 5, 9])


def test_only_the_words_for_yes_grant_consent(emulator: Emulator, run_target: Target) -> None:
    grants: list[object] = [True, 1, 1.0, "true", "YES", " Granted ", "Yes", "TRUE", "1", "Y", "t", "on", "Subscribed"]
    grants += ["opted_in", "OPT_IN"]
    denials: list[object] = [False, 0, 2, None, "", "granted!", "no", "0", "ja", "n/a", [], {"yes": True}, "null"]
    rows = [person(n, consent) for n, consent in enumerate(grants + denials)]
    run = run_target([ASKED, *rows], **CONSENT)
    assert run.code == 0
    assert members(emulator) == digests(range(len(grants)))
    assert f"{len(denials)} refused" in run.stderr


def test_consent_does_not_lift_a_refusal_of_an_identity_that_it_does_not_name(
    emulator: Emulator, run_target: Target
) -> None:
    run_target([ASKED, person(1, "yes"), person(2, "yes", address(1)), person(3, "yes")], **CONSENT)
    replayed = [ASKED, record(id=1, consent="yes"), record(id=1, consent="no")]
    for _ in range(2):
        run_target(replayed, **CONSENT)
        assert members(emulator) == digests([3])
    run_target([ASKED, record(id=1, consent="yes")], **CONSENT)
    assert members(emulator) == digests([3])
    run_target([ASKED, person(1, "yes")], **CONSENT)
    assert members(emulator) == digests([1, 3])


@pytest.mark.parametrize("method", ["upsert", "append-only", "overwrite"])
def test_a_missing_consent_column_ends_the_run_before_anything_is_sent(
    emulator: Emulator, run_target: Target, method: str
) -> None:
    run = run_target([schema("email"), *people([1]), state(1)], load_method=method, **CONSENT)
    assert (run.code, run.states, emulator.backend.calls) == (2, [], [])
    assert "`consent_column`" in run.stderr


def test_a_record_without_the_consent_column_is_rejected_and_the_row_keeps_its_statements(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    run_target([ASKED, person(1, 1), person(2, 0), person(3, 1, address(2))], **CONSENT)
    sent()
    run = run_target([ASKED, record(id=1, email=address(7)), *people([2, 5])], **CONSENT)
    assert run.code == 0
    assert sent() == []
    assert "3 rejected" in run.stderr
    assert members(emulator) == digests([1])


def test_a_refusal_stays_in_force_without_the_setting(emulator: Emulator, run_target: Target) -> None:
    run_target([ASKED, person(1, 0), person(2, 1, address(1)), person(9, 1)], **CONSENT)
    run_target([ASKED, person(1, 0), person(2, 1, address(1)), person(9, 1)])
    assert members(emulator) == digests([9])


def test_a_refusal_applies_to_lists_of_former_settings(emulator: Emulator, run_target: Target) -> None:
    run_target([ASKED, person(1, 1), person(9, 1)], **CONSENT, customer_list_name="L")
    run_target([ASKED, person(1, 0), person(9, 1)], **CONSENT, customer_list_name="M")
    assert members(emulator, "L") == members(emulator, "M") == digests([9])


def test_a_stream_that_removes_refuses_until_its_row_is_deleted(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    leaving = schema("email", "_sdc_deleted_at", stream="left")
    settings = {"customer_list_name": "L", "streams": {"left": {"operation": "remove"}}}
    run_target([GONE, *people([1, 2, 3])], **settings)
    for stream in ([GONE, *people([1, 2, 3]), leaving, *people([1], "left")], [GONE, *people([1, 2, 3])]):
        run_target(stream, **settings)
        assert members(emulator, "L") == digests([2, 3])
    run_target([leaving, record("left", id=1, email=address(2))], **settings)
    assert members(emulator, "L") == digests([3])
    sent()
    run_target([leaving, record("left", id=1, email=address(2)), *people([77], "left")], **settings)
    assert sent() == [Write("REMOVE", digests([77]))]
    run_target([leaving, deleted(1, "left", email=address(2)), deleted(77, "left")], **settings)
    assert members(emulator, "L") == digests([1, 2, 3])


def test_refusals_for_a_list_that_does_not_exist_keep_people_off_it_once_it_does(
    emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent
) -> None:
    leaving = {"customer_list_name": "L", "operation": "remove"}
    refused = run_target([schema("email", stream="left"), *people([1], "left"), state(1)], **leaving)
    assert (refused.code, refused.states, emulator.backend.customer_lists()) == (2, [], [])
    assert "Check the name, or first run what adds people to it." in refused.stderr
    shown = run_companion("status", "--offline", **leaving)
    assert "Not created yet: no row adds anyone." in " ".join(shown.stdout.split())
    # The rows that put people on the list are read by other settings, and the refusal is known already.
    run_target([GONE, *people([1, 2])], customer_list_name="L")
    assert members(emulator, "L") == digests([2])
    sent()
    assert run_target([schema("email", stream="left"), *people([1], "left"), state(1)], **leaving).states == [
        state(1)["value"]
    ]
    assert sent() == []


def test_the_order_of_rows_that_add_and_rows_that_remove_does_not_matter(
    emulator: Emulator, run_target: Target
) -> None:
    schemas = [GONE, schema("email", "_sdc_deleted_at", stream="left")]
    settings = {"customer_list_name": "L", "streams": {"left": {"operation": "remove"}}}
    rows = [*people([1, 9]), *people([1], "left")]
    run_target([*schemas, *people([9])], **settings)
    for order in (rows, rows[::-1]):
        run_target([*schemas, *order], **settings)
        assert members(emulator, "L") == digests([9])


def test_without_a_key_equal_ids_of_two_types_count_as_two_rows(emulator: Emulator, run_target: Target) -> None:
    keyless = schema("lr_id", "dlx_id", "_sdc_deleted_at", key=())
    run_target([keyless, record(lr_id="17", dlx_id="17")])
    run_target([keyless, record(dlx_id="17", _sdc_deleted_at="2026")])
    assert members(emulator, "customers - LR_ID") == {"17"}
    assert members(emulator, "customers - DLX_ID") == frozenset()
