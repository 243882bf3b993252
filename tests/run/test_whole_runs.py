"""The real target process, over real sockets, against the emulator."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from target_pinterest_audience.emulator import Call, Emulator, Fault
from tests.support.account import ACCOUNT, members
from tests.support.messages import address, digests, people, record, schema, sha256, state
from tests.support.processes import Target


def sizes(emulator: Emulator) -> list[tuple[str, int]]:
    return [(call.method, len(records(call))) for call in emulator.backend.writes()]


def records(call: Call) -> list[str]:
    assert call.request is not None
    return str(call.request["records"]).split(",")


def test_untidy_rows_give_exactly_the_expected_members(emulator: Emulator, run_target: Target) -> None:
    chance = random.Random(7)
    untidy: list[Callable[[str], str]] = [str, str.upper, lambda v: f" {v}\t", lambda v: f"\ufeff{v}\u00a0", sha256]
    stream = [schema("email"), state(0)]
    stream += [record(id=n, email=chance.choice(untidy)(address(n))) for n in range(25_003)]
    stream += [record(id=30_000, email="no address"), record(id=30_001, email=None), state("last")]
    run = run_target(stream)
    assert run.code == 0
    assert members(emulator) == digests(range(25_003))
    assert sizes(emulator) == [("POST", 10_000), ("PATCH", 10_000), ("PATCH", 5_003)]
    assert len(emulator.backend.audiences()) == 1
    assert run.states == [state(0)["value"], state("last")["value"]]
    assert "@" not in run.stderr
    assert "25,005 rows; 25,004 values (25,003 to add, 1 rejected)" in run.stderr


def test_every_type_goes_from_its_default_column_to_its_list(emulator: Emulator, run_target: Target) -> None:
    uuid = "ea7583cd-b890-48bc-8f00-0123456789ab"
    names = ["email", "idfa", "gaid", "maid", "lr_id", "dlx_id", "hashed_pinner_id"]
    rows = [
        record(
            id=1, email="Ann@Example.com", idfa=uuid, gaid=uuid.upper(), maid=None, lr_id="XY99", dlx_id="D7",
            hashed_pinner_id="A" * 64,
        ),
        record(id=2, email=None, idfa=uuid.replace("-", ""), gaid="00000000-0000-0000-0000-000000000000"),
    ]  # fmt: skip
    run = run_target([schema(*names), *rows])
    assert run.code == 0
    assert members(emulator) == {sha256("ann@example.com"), sha256(uuid.upper()), sha256(uuid)}
    assert members(emulator, "customers - LR_ID") == {"XY99"}
    assert members(emulator, "customers - DLX_ID") == {"D7"}
    assert members(emulator, "customers - HASHED_PINNER_ID") == {"a" * 64}
    types = {each.name: each.list_type for each in emulator.backend.customer_lists()}
    assert types == {
        "customers": "EMAIL",
        "customers - LR_ID": "LR_ID",
        "customers - DLX_ID": "DLX_ID",
        "customers - HASHED_PINNER_ID": "HASHED_PINNER_ID",
    }
    assert len(emulator.backend.audiences()) == 4
    assert uuid not in run.stderr
    assert "32 hex digits" in run.stderr


def test_two_lists_of_one_name_are_an_error(emulator: Emulator, run_target: Target) -> None:
    ids = [emulator.backend.create_list(name="customers", records=["a" * 64]).id for _ in range(2)]
    run = run_target([schema("email"), *people(range(3)), state(1)])
    assert run.code == 2
    assert all(list_id in run.stderr for list_id in ids)
    assert "`customer_list_id`" in run.stderr
    assert emulator.backend.writes() == []
    assert run.states == []


def test_a_list_that_pinterest_does_not_show_at_once_is_created_once(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.inject(Fault(method="POST", path="/customer_lists$", when="after", reset=True))
    emulator.backend.inject(Fault(method="GET", path="/customer_lists$", status=200, body={"items": []}, times=3))
    run = run_target([schema("email"), *people(range(5))])
    assert run.code == 0, run.stderr
    assert members(emulator) == digests(range(5))


@pytest.mark.parametrize("way", ["customer_list_id", "audience_id"])
def test_one_list_reached_in_two_ways_is_refused(emulator: Emulator, run_target: Target, way: str) -> None:
    made = emulator.backend.create_list(name="L", records=[sha256(address(1))])
    audience = emulator.backend.create_audience("L", made.id)
    other = {way: made.id if way == "customer_list_id" else audience.id, "operation": "remove"}
    streams = {"a": {"customer_list_name": "L"}, "b": other}
    stream = [schema("email", stream="a"), schema("email", stream="b"), *people([1], "a"), *people([1], "b")]
    run = run_target(stream, streams=streams)
    assert run.code == 2
    assert f"are the same list (id {made.id})" in run.stderr


def test_a_list_that_gets_addresses_later_is_of_type_email(emulator: Emulator, run_target: Target) -> None:
    stream = [schema("idfa", stream="a"), schema("email", stream="b"), *people([1], "b")]
    assert run_target(stream, customer_list_name="L", streams={"b": {}}).code == 0
    assert [each.list_type for each in emulator.backend.customer_lists()] == ["EMAIL"]


def test_a_list_that_was_just_created_is_waited_for(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.inject(Fault(method="PATCH", status=404, times=3))
    run = run_target([schema("email"), *people(range(20)), state(1)], batch_size_rows=10)
    assert run.code == 0, run.stderr
    assert run.stderr.count("cannot be found yet") == 3
    assert members(emulator) == digests(range(20))


def test_a_list_that_is_gone_is_named_and_ends_the_run(emulator: Emulator, run_target: Target) -> None:
    made = emulator.backend.create_list("customers")
    emulator.backend.inject(Fault(method="PATCH", status=404, times=None))
    run = run_target([schema("email"), *people(range(20)), state(1)])
    assert run.code == 2
    assert f'Pinterest no longer has customer list "customers" (id {made.id})' in run.stderr
    assert run.states == []


def test_a_run_waits_for_a_used_up_limit_before_pinterest_refuses(emulator: Emulator, run_target: Target) -> None:
    made = emulator.backend.create_list("customers")
    answer = {"id": made.id, "ad_account_id": ACCOUNT, "name": "customers", "exceptions": {}}
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}
    emulator.backend.inject(Fault(method="PATCH", when="after", status=200, body=answer, headers=headers))
    run = run_target([schema("email"), *people(range(20)), state(1)], batch_size_rows=10)
    assert run.code == 0, run.stderr
    assert "rate limit is used up. Waiting" in run.stderr
    assert members(emulator) == digests(range(20))


def test_half_full_batches_are_not_sent_for_a_state(emulator: Emulator, run_target: Target) -> None:
    stream = [schema("email")]
    for n in range(1000):
        stream += [*people([n]), state(n)]
    run = run_target(stream)
    assert sizes(emulator) == [("POST", 1000)]
    assert run.states == [state(999)["value"]]


def test_a_state_waits_for_the_rows_of_every_stream(emulator: Emulator, run_target: Target) -> None:
    stream = [schema("email", stream="a"), schema("email", stream="b"), *people([1], "b")]
    stream += [*people(range(10, 20), "a"), state("a was sent, b waits"), *people(range(20, 28), "b"), state("end")]
    run = run_target(stream, batch_size_rows=10, streams={"*": {}})
    assert run.states == [state("end")["value"]]
    assert members(emulator, "b") == digests([1, *range(20, 28)])


def test_a_state_that_nothing_waits_for_is_written_at_once(run_target: Target) -> None:
    stream = [schema("email", stream="b"), state(0), schema("city"), record(id=1, city="Rome"), state(1), state(2)]
    assert [each["bookmarks"]["at"] for each in run_target(stream).states] == [0, 1, 2]


def test_numbers_in_a_state_keep_every_digit(run_target: Target) -> None:
    line = '{"type": "STATE", "value": {"a": 0.30000000000000000001, "b": 12345678901234567890123, "c": "é"}}\n'
    run = run_target(line)
    assert '"a":0.30000000000000000001' in run.stdout
    assert '"b":12345678901234567890123' in run.stdout
    assert run.states[0]["c"] == "é"


def test_a_deleted_row_is_never_added_and_is_removed(emulator: Emulator, run_target: Target) -> None:
    run_target([schema("email"), *people(range(5))])
    rows = [
        record(id=1, email=address(1), _sdc_deleted_at="2026-11-21T00:00:00Z"),
        record(id=2, _sdc_deleted_at="2026-11-21T00:00:00Z", _sdc_lsn=7),
        record(id=3, email=address(3), _sdc_deleted_at=None),
        record(id=9, email=address(9), _sdc_deleted_at="2026-11-21T00:00:00Z"),
    ]
    run = run_target([schema("email", "_sdc_deleted_at"), *rows])
    assert run.code == 0
    assert members(emulator) == digests([0, 2, 3, 4])
    assert "3 of them marked as deleted" in run.stderr


def test_operation_remove_removes_and_never_creates(emulator: Emulator, run_target: Target) -> None:
    gone = [schema("email", stream="unsubscribed"), *people([1, 2], "unsubscribed"), state(1)]
    settings = {"customer_list_name": "customers", "operation": "remove"}
    missing = run_target(gone, **settings)
    assert missing.code == 2
    assert 'no customer list "customers"' in missing.stderr
    assert missing.states == []
    assert emulator.backend.customer_lists() == []
    run_target([schema("email"), *people(range(5))])
    deleted = record(stream="unsubscribed", id=3, email=address(3), _sdc_deleted_at="2026-11-21")
    run = run_target([*gone, deleted], **settings)
    assert run.code == 0
    assert members(emulator) == digests([0, 3, 4])
    assert run.states == [state(1)["value"]]


def test_one_stream_adds_and_another_removes(emulator: Emulator, run_target: Target) -> None:
    streams = {"unsubscribed": {"operation": "remove"}}
    stream = [schema("email"), schema("email", stream="unsubscribed"), *people(range(5))]
    run = run_target([*stream, *people([1], "unsubscribed")], customer_list_name="all", streams=streams)
    assert run.code == 0
    assert members(emulator, "all") == digests([0, 2, 3, 4])
    assert len(emulator.backend.audiences()) == 1


def test_a_list_is_found_by_id_and_through_its_audience(emulator: Emulator, run_target: Target) -> None:
    existing = emulator.backend.create_list(name="VIP", records=["a" * 64])
    run = run_target([schema("email"), *people([1])], customer_list_id=existing.id)
    assert run.code == 0
    (audience,) = emulator.backend.audiences()
    assert audience.name == "VIP"
    run = run_target([schema("email"), *people([2])], audience_id=audience.id)
    assert run.code == 0
    assert members(emulator, "VIP") == digests([1, 2]) | {"a" * 64}
    assert len(emulator.backend.audiences()) == 1


@pytest.mark.parametrize("setting", ["customer_list_id", "audience_id"])
def test_an_id_that_does_not_exist_exits_2(run_target: Target, setting: str) -> None:
    run = run_target([schema("email"), *people([1])], **{setting: "77"})
    assert run.code == 2
    assert f"Check `{setting}`" in run.stderr


def test_a_list_is_found_on_the_last_page(emulator: Emulator, run_target: Target) -> None:
    for n in range(260):
        emulator.backend.create_list(name=f"other {n}", records=["a" * 64])
    emulator.backend.create_list(name="customers", records=["a" * 64])
    assert run_target([schema("email"), *people([1])]).code == 0
    assert len(emulator.backend.customer_lists()) == 261


def test_an_audience_has_its_name_and_description_from_the_settings(emulator: Emulator, run_target: Target) -> None:
    run_target([schema("email"), *people([1])], audience_name="Buyers", audience_description="Bought in 2026")
    (call,) = [call for call in emulator.backend.calls if (call.method, call.path[-10:]) == ("POST", "/audiences")]
    assert call.request is not None
    assert (call.request["name"], call.request["description"]) == ("Buyers", "Bought in 2026")


def test_no_audience_is_created_if_the_setting_is_off(emulator: Emulator, run_target: Target) -> None:
    assert run_target([schema("email"), *people([1])], create_audience=False).code == 0
    assert emulator.backend.audiences() == []


def test_an_audience_refused_for_a_small_list_is_created_by_the_next_run(
    emulator: Emulator, run_target: Target
) -> None:
    emulator.backend.inject(Fault(method="POST", path="/audiences$", status=400))
    first = run_target([schema("email"), *people([1])])
    assert first.code == 0
    assert "the next run tries again" in first.stderr
    assert run_target([schema("email")]).code == 0
    assert len(emulator.backend.audiences()) == 1


def test_a_request_stays_below_the_byte_limit(emulator: Emulator, run_target: Target) -> None:
    run = run_target([schema("email"), *people(range(100))], max_request_bytes=2000)
    assert run.code == 0
    assert members(emulator) == digests(range(100))
    assert all(len(json.dumps(call.request)) <= 2000 for call in emulator.backend.writes())
    assert len(emulator.backend.writes()) < 6


def test_removals_from_a_list_that_does_not_exist_yet_are_reported_as_skipped(
    emulator: Emulator, run_target: Target
) -> None:
    run = run_target([schema("email", "_sdc_deleted_at"), record(id=1, email=address(1), _sdc_deleted_at="2026")])
    assert run.code == 0
    assert "sent 0 identities to add, 0 to remove" in run.stderr
    assert "skipped, because the list did not exist: 1" in run.stderr
    assert emulator.backend.writes() == []


def test_a_list_to_remove_from_must_exist_even_without_rows(run_target: Target) -> None:
    assert run_target([schema("email")], operation="remove").code == 2


def test_a_token_that_expires_during_the_run_is_renewed(emulator: Emulator, run_target: Target) -> None:
    expired = Fault(method="PATCH", skip=1, status=401, body={"code": 2, "message": "Authentication failed."})
    emulator.backend.inject(expired)
    oauth = {"client_id": "emulator-app", "client_secret": "emulator-secret", "refresh_token": "emulator-refresh"}
    for at in (1, 2):
        run = run_target([schema("email"), *people(range(50)), state(at)], batch_size_rows=10, **oauth)
        assert run.code == 0, run.stderr
        assert run.states == [state(at)["value"]]
    assert members(emulator) == digests(range(50))
    assert [call.path for call in emulator.backend.calls].count("/v5/oauth/token") == 1


def test_identities_of_the_same_person_in_two_rows_are_sent_once(emulator: Emulator, run_target: Target) -> None:
    rows = [record(id=n, email=address(1).upper() if n % 2 else address(1)) for n in range(10)]
    run = run_target([schema("email"), *rows])
    assert sizes(emulator) == [("POST", 1)]
    assert "10 values (1 to add, 9 duplicate)" in run.stderr


def test_the_counts_sum_up(run_target: Target) -> None:
    chance = random.Random(11)
    stream = [schema("email", "idfa", "lr_id", "_sdc_deleted_at")]
    for n in range(600):
        row: dict[str, Any] = {
            "id": None if n % 97 == 0 else n,
            "email": chance.choice([address(chance.randrange(60)), "no address", None, "", 7]),
            "idfa": chance.choice(["ea7583cd-b890-48bc-8f00-0123456789ab", "0" * 32, None]),
            "lr_id": chance.choice([n % 20, "a,b", None, True]),
        }
        if chance.random() < 0.3:
            row["_sdc_deleted_at"] = "2026-11-21"
        stream.append(record(**row))
    log = run_target(stream, batch_size_rows=25).stderr

    def figures(pattern: str) -> int:
        return sum(int(figure.replace(",", "")) for figure in re.findall(pattern, log))

    received, rejected = figures(r"([\d,]+) values"), figures(r"([\d,]+) rejected\)")
    added, removed = figures(r"([\d,]+) to add[,)]"), figures(r"([\d,]+) named for removal")
    duplicates = figures(r"([\d,]+) duplicate")
    assert received == added + removed + duplicates + rejected
    assert min(received, rejected, added, removed, duplicates) > 15
    assert "do not add up" not in log
