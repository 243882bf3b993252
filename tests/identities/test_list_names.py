"""`list_name_column`: many audiences from one table, and a row is on the list that it names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.identities import list_names
from target_pinterest_audience.identities.list_names import NO_LIST, UsableNames
from tests.support.account import Sent, members
from tests.support.messages import address, deleted, digests, record, schema, sha256, state
from tests.support.processes import Prune, Target


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert", "list_name_column": "segment"}


MESSAGE = schema("email", "segment", "_sdc_deleted_at")


def person(number: int, segment: Any, **values: Any) -> dict[str, Any]:
    return record(id=number, email=address(number), segment=segment, **values)


def names(emulator: Emulator) -> set[str]:
    return {each.name for each in emulator.backend.customer_lists()}


def test_a_row_that_changes_its_list_name_leaves_the_old_list(
    emulator: Emulator, run_target: Target, sent: Sent
) -> None:
    rows = [person(n, "vip" if n < 5 else "new") for n in range(10)]
    first = run_target([MESSAGE, *rows, state(1)])
    assert (first.code, first.states) == (0, [state(1)["value"]])
    assert (members(emulator, "vip"), members(emulator, "new")) == (digests(range(5)), digests(range(5, 10)))
    assert {each.name for each in emulator.backend.audiences()} == {"vip", "new"}
    sent()
    run_target([MESSAGE, *rows])
    assert sent() == []
    run_target([MESSAGE, *rows[:-1], person(9, "vip")])
    assert (members(emulator, "vip"), members(emulator, "new")) == (digests([*range(5), 9]), digests(range(5, 9)))
    run_target([MESSAGE, person(0, "gone")])
    assert members(emulator, "vip") == digests([*range(1, 5), 9])
    assert members(emulator, "gone") == digests([0])


def test_the_last_list_name_of_a_row_in_the_stream_counts(emulator: Emulator, run_target: Target) -> None:
    rows = [person(n, "a") for n in range(50)] + [person(n, "b") for n in range(50)] + [person(1, "a")]
    run_target([MESSAGE, *rows])
    assert members(emulator, "a") == digests([1])
    assert members(emulator, "b") == digests(range(50)) - digests([1])


def test_a_row_without_a_name_is_on_no_list(emulator: Emulator, run_target: Target) -> None:
    rows = [person(1, "a"), person(2, None), person(3, " "), person(4, 7), person(5, "  a\u00a0")]
    assert run_target([MESSAGE, *rows]).code == 0
    assert names(emulator) == {"a", "7"}
    assert (members(emulator, "a"), members(emulator, "7")) == (digests([1, 5]), digests([4]))
    told = run_target([MESSAGE, person(1, None), person(5, "")])
    assert members(emulator, "a") == frozenset()
    assert "0 values" in told.stderr


def test_a_row_without_the_column_is_rejected_and_stays_on_its_list(emulator: Emulator, run_target: Target) -> None:
    run_target([MESSAGE, person(1, "a"), person(2, "a")])
    told = run_target([MESSAGE, record(id=1, email=address(8)), person(2, ["a"]), person(3, "b")])
    assert told.code == 0
    assert members(emulator, "a") == digests([1, 2])
    assert names(emulator) == {"a", "b"}
    assert "without the column that names its list (`list_name_column`)" in told.stderr
    assert "neither text nor a whole number" in told.stderr


@pytest.mark.parametrize(
    "name",
    [
        *(
            address(3),
            sha256(address(3)),
            "EA7583CD-B890-48BC-8F00-0123456789AB",
            "a\nb",
            f"friends of {address(3)}, too",
        ),
        *("+49 30 12345678", "+49 30 12345678/79"),
    ],
)
def test_an_identity_never_becomes_the_name_of_a_list(emulator: Emulator, run_target: Target, name: str) -> None:
    told = run_target([MESSAGE, person(1, "a"), person(2, name)])
    assert told.code == 0
    assert names(emulator) == {"a"}
    assert name not in told.stderr
    assert name not in json.dumps([call.request for call in emulator.backend.calls])


def test_a_delete_with_only_the_key_finds_the_list(emulator: Emulator, run_target: Target) -> None:
    run_target([MESSAGE, *(person(n, "ab"[n % 2]) for n in range(10))])
    run_target([MESSAGE, deleted(1), deleted(2, email=None, segment=None)])
    assert members(emulator, "a") == digests([0, 4, 6, 8])
    assert members(emulator, "b") == digests([3, 5, 7, 9])


def test_withdrawn_consent_removes_the_row_from_whichever_list_it_was_on(
    emulator: Emulator, run_target: Target
) -> None:
    message = schema("email", "segment", "ok")
    run_target([message, *(person(n, "a", ok=True) for n in range(3))], consent_column="ok")
    run_target([message, person(1, "b", ok="no"), person(2, None, ok="no")], consent_column="ok")
    assert members(emulator, "a") == digests([0])
    run_target([message, person(1, "b", ok="yes")], consent_column="ok")
    assert members(emulator, "b") == digests([1])
    assert members(emulator, "a") == digests([0])


def test_a_type_with_a_list_of_its_own_has_one_under_each_name(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "lr_id", "segment")
    run_target([message, person(1, "a", lr_id="XY1"), person(2, "b", lr_id="XY2")])
    assert names(emulator) == {"a", "b", "a - LR_ID", "b - LR_ID"}
    run_target([message, person(1, "b", lr_id="XY1")])
    assert members(emulator, "a - LR_ID") == frozenset()
    assert members(emulator, "b - LR_ID") == {"XY1", "XY2"}


IDFA = "EA7583CD-A667-48BC-B806-42ECB2B48606"


def test_identities_that_the_record_lacks_move_along(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "idfa", "lr_id", "segment")
    both = digests([1]) | {sha256(IDFA)}
    assert run_target([message, person(1, "old", idfa=IDFA, lr_id="XY1")]).code == 0
    assert run_target([message, record(id=1, segment="new")]).code == 0
    assert (members(emulator, "old"), members(emulator, "new")) == (frozenset(), both)
    assert members(emulator, "old - LR_ID") == frozenset()
    assert members(emulator, "new - LR_ID") == {"XY1"}
    assert run_target([message, person(1, "newer")]).code == 0
    assert (members(emulator, "new"), members(emulator, "newer")) == (frozenset(), both)
    narrower = schema("email", "segment")
    assert run_target([narrower, person(1, "newest")]).code == 0
    assert (members(emulator, "newer"), members(emulator, "newest")) == (frozenset(), digests([1]))
    assert members(emulator, "newer - LR_ID") == frozenset()
    assert run_target([message, person(1, "last", idfa=IDFA), record(id=1, segment=None)]).code == 0
    assert members(emulator, "newest") == frozenset()


def test_a_refusing_row_leaves_its_list_even_without_a_list_name(emulator: Emulator, run_target: Target) -> None:
    asks = {"consent_column": "ok"}
    message = schema("email", "segment", "ok")
    assert run_target([message, *(person(n, "a", ok=True) for n in range(3))], **asks).code == 0
    refusing = [record(id=0, email=address(0), ok=False), person(1, 17.5, ok="no")]
    told = run_target([message, *refusing], **asks)
    assert (told.code, members(emulator, "a")) == (0, digests([2]))


def test_an_identity_without_a_key_moves_too(emulator: Emulator, run_target: Target) -> None:
    message = schema("email", "segment", "_sdc_deleted_at", key=())
    run_target([message, person(1, "a"), person(2, "a"), person(3, "a")])
    run_target([message, person(1, "b"), person(2, None), person(3, None, _sdc_deleted_at="2026-11-22")])
    assert members(emulator, "a") == frozenset()
    assert members(emulator, "b") == digests([1])


def test_prune_removes_people_from_a_list_that_no_row_names_any_more(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    rows = [person(n, "abc"[n % 3]) for n in range(9)]
    assert run_target([MESSAGE, *rows], load_method="overwrite").code == 0
    assert (
        run_target([MESSAGE, *(row for row in rows if row["record"]["segment"] == "a")], load_method="overwrite").code
        == 0
    )
    assert members(emulator, "b")
    done = run_prune(load_method="overwrite")
    assert done.code == 0, done.stderr
    assert members(emulator, "a") == digests([0, 3, 6])
    assert members(emulator, "b") == members(emulator, "c") == frozenset()


def test_appended_rows_go_to_the_lists_that_they_name(emulator: Emulator, run_target: Target, sent: Sent) -> None:
    rows = [person(n, "ab"[n % 2]) for n in range(20)] + [person(20, None), deleted(1, email=address(1), segment="b")]
    told = run_target([MESSAGE, *rows], load_method="append-only", batch_size_rows=4)
    assert told.code == 0
    assert members(emulator, "a") == digests(range(0, 20, 2))
    assert members(emulator, "b") == digests(range(3, 20, 2))
    assert len(sent()) == 7


def test_a_stream_that_removes_skips_lists_that_do_not_exist(emulator: Emulator, run_target: Target) -> None:
    run_target([MESSAGE, *(person(n, "a") for n in range(3))])
    unsubscribed = schema("email", "segment", stream="unsubscribed")
    rows = [record("unsubscribed", id=n, email=address(n), segment=name) for n, name in [(1, "a"), (2, "nobody's")]]
    told = run_target([unsubscribed, *rows], operation="remove")
    assert told.code == 0, told.stderr
    assert members(emulator, "a") == digests([0, 2])
    assert names(emulator) == {"a"}


def test_a_stream_without_the_column_is_refused_before_anything_is_sent(emulator: Emulator, run_target: Target) -> None:
    told = run_target([schema("email"), record(id=1, email=address(1))])
    assert told.code == 2
    assert "`list_name_column` names" in told.stderr
    assert not emulator.backend.writes()
    told = run_target([MESSAGE, person(1, "a")], list_name_column="email")
    assert told.code == 2
    assert "holds identities" in told.stderr
    assert not emulator.backend.writes()


@pytest.mark.parametrize(
    ("other", "value"),
    [("customer_list_id", "17"), ("customer_list_name", "a"), ("audience_id", "17"), ("audience_name", "a")],
)
def test_settings_that_name_one_list_or_audience_cannot_be_combined_with_it(
    run_target: Target, other: str, value: str
) -> None:
    told = run_target([MESSAGE], **{other: value})
    assert told.code == 2
    assert f"`{other}`" in told.stderr
    assert "`list_name_column`" in told.stderr


def test_a_stream_may_name_its_lists_where_others_do_not(emulator: Emulator, run_target: Target) -> None:
    stream = [MESSAGE, person(1, "a"), schema("email", stream="leads"), record("leads", id=1, email=address(2))]
    settings = {
        "list_name_column": None,
        "customer_list_name": "all",
        "streams": {"customers": {"list_name_column": "segment"}, "leads": {}},
    }
    assert run_target(stream, **settings).code == 0
    assert (members(emulator, "a"), members(emulator, "all")) == (digests([1]), digests([2]))


def test_hundreds_of_lists_need_few_calls(emulator: Emulator, run_target: Target) -> None:
    rows = [person(n, f"segment {n % 300}") for n in range(5000)]
    told = run_target([MESSAGE, *rows, state(1)], create_audience=False)
    assert told.code == 0, told.stderr[-2000:]
    assert told.states == [state(1)["value"]]
    assert told.stderr.count("requests: 1; members now: ") == 20
    assert "280 more customer lists: sent 4,660 identities to add, 0 to remove." in told.stderr
    assert len(names(emulator)) == 300
    assert all(
        emulator.backend.members(each.id) == digests(range(int(each.name.split()[1]), 5000, 300))
        for each in emulator.backend.customer_lists()
    )
    calls = [call.method for call in emulator.backend.calls]
    assert calls.count("POST") == 300
    assert len(calls) - 300 < 20
    before = len(calls)
    rows[1] = person(1, "segment 2")
    assert run_target([MESSAGE, *rows], create_audience=False).code == 0
    again = [call.method for call in emulator.backend.calls][before:]
    assert again.count("PATCH") == 2
    assert len(again) < 15


def test_a_list_that_pinterest_does_not_create_is_named_in_the_error(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.inject(Fault(method="POST", path="/customer_lists$", status=400, times=None))
    told = run_target([MESSAGE, *(person(n, "a") for n in range(4))])
    assert told.code == 5
    assert 'did not create customer list "a". Check its name' in told.stderr


@pytest.mark.parametrize(
    ("text", "name"), [("buyers", "buyers"), (" buyers\n", "buyers"), ("", NO_LIST), ("person@example.com", NO_LIST)]
)
def test_usable_names_are_stored_and_no_other_text(text: str, name: str) -> None:
    usable = UsableNames()
    assert [usable[text], usable[text]] == [name, name]
    assert dict(usable) == ({text: name} if name else {})


def test_only_so_many_usable_names_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_names, "_NAMES", 2)
    usable = UsableNames()
    assert [usable[text] for text in ("one", "two", "three", "three")] == ["one", "two", "three", "three"]
    assert list(usable) == ["one", "two"]


def test_a_value_that_is_no_text_is_no_usable_name() -> None:
    usable = UsableNames()
    assert usable[7] == NO_LIST
    assert not usable
