"""Customer segments, as people create, change and delete them with the companion."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.contract import assert_contract
from tests.support.processes import Companion

NAME = "Existing customers"


@pytest.fixture
def audience_ids(emulator: Emulator) -> list[str]:
    of = emulator.backend.create_list("customers", ["a" * 64])
    return [emulator.backend.create_audience(name, of.id).id for name in ("buyers", "subscribers", "members")]


def shown(run_companion: Companion, *arguments: str) -> Any:
    done = run_companion("segments", *arguments, "--json")
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)


def writes(emulator: Emulator) -> list[Any]:
    return [each.request for each in emulator.backend.calls if each.method in {"POST", "PATCH"}]


def test_a_segment_from_its_creation_to_its_end(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str]
) -> None:
    buyers, subscribers, _ = audience_ids
    assert "no customer segments" in run_companion("segments").stdout
    made = shown(run_companion, "create", "--name", NAME, "--audience", buyers, "--audience", buyers)
    assert (made["name"], made["audience_ids"], made["status"]) == (NAME, [buyers], "ACTIVE")
    changed = shown(run_companion, "update", made["id"], "--add", subscribers)
    assert changed["audience_ids"] == [buyers, subscribers]
    assert "No customer segment matches the text." in run_companion("segments", "--search", "zzz").stdout
    listing = run_companion("segments").stdout
    assert f"{buyers}, {subscribers}" in listing
    assert NAME in listing
    assert run_companion("segments", "delete", made["id"], "--yes").code == 0
    assert shown(run_companion) == []
    (gone,) = shown(run_companion, "--all")
    assert (gone["id"], gone["status"]) == (made["id"], "DELETED")
    again = run_companion("segments", "delete", made["id"], "--yes")
    assert (again.code, "no customer segment with that id or name any more" in again.stderr) == (2, True)
    assert writes(emulator) == [
        {"name": NAME, "audience_ids": [buyers]},
        {"id": made["id"], "operation_type": "UPDATE", "audience_ids": [buyers, subscribers]},
        {"id": made["id"], "operation_type": "REMOVE"},
    ]
    assert_contract(emulator.backend.calls)


@pytest.mark.parametrize("status", [200, 201])
def test_a_creation_is_understood_with_either_status(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str], status: int
) -> None:
    segment = {"id": "7", "name": NAME, "audience_ids": audience_ids}
    emulator.backend.inject(Fault(method="POST", path="/customer_segments$", status=status, body=segment))
    created = run_companion("segments", "create", "--name", NAME, "--audience", audience_ids[0])
    assert (created.code, f'Created customer segment 7 "{NAME}"' in created.stdout) == (0, True), created.stderr


@pytest.mark.parametrize("body", ["", "null", "{}"])
def test_a_change_is_understood_whatever_its_answer_holds(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str], body: str
) -> None:
    made = emulator.backend.create_segment(NAME, audience_ids[:1])
    emulator.backend.inject(Fault(method="PATCH", status=200, body=body, times=None))
    assert run_companion("segments", "update", made.id, "--add", audience_ids[1]).code == 0
    assert len(writes(emulator)) == 1


def test_a_name_that_a_segment_has_is_refused(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str]
) -> None:
    made = emulator.backend.create_segment(NAME, audience_ids[:1])
    arguments = ("segments", "create", "--name", NAME, "--audience", audience_ids[1])
    refused = run_companion(*arguments)
    assert (refused.code, f"already has a customer segment with that name (id {made.id})" in refused.stderr) == (
        2,
        True,
    )
    assert run_companion("segments", "delete", made.id, "--yes").code == 0
    assert run_companion(*arguments).code == 0


def test_a_lost_answer_to_a_creation_is_no_second_segment(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str]
) -> None:
    emulator.backend.inject(Fault(method="POST", status=504, when="after", times=None))
    arguments = ("segments", "create", "--name", NAME, "--audience", audience_ids[0])
    assert run_companion(*arguments).code == 4
    emulator.backend.clear_faults()
    refused = run_companion(*arguments)
    assert (refused.code, emulator.backend.segments()[0].id in refused.stderr) == (2, True)
    assert len(emulator.backend.segments()) == 1


def test_a_lost_answer_to_a_deletion_is_a_deletion(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str]
) -> None:
    made = emulator.backend.create_segment(NAME, audience_ids)
    emulator.backend.inject(Fault(method="PATCH", status=504, when="after"))
    deleted = run_companion("segments", "delete", made.id, "--yes")
    assert (deleted.code, "Deleted customer segment" in deleted.stdout) == (0, True), deleted.stderr
    assert emulator.backend.segments()[0].status == "DELETED"


def test_a_deletion_needs_a_confirmation(emulator: Emulator, run_companion: Companion, audience_ids: list[str]) -> None:
    made = emulator.backend.create_segment(NAME, audience_ids)
    refused = run_companion("segments", "delete", made.id)
    assert (refused.code, "pass --yes" in refused.stderr, NAME in refused.stderr) == (2, True, True)
    assert emulator.backend.segments() == [made]


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (("--remove", "0"), [1, 2]),
        (("--audience", "0"), [0]),
        (("--audience", "1", "--audience", "0"), [1, 0]),
        (("--remove", "0", "--remove", "1"), [2]),
    ],
)
def test_the_removal_of_an_audience_needs_a_confirmation(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str], arguments: tuple[str, ...], left: list[int]
) -> None:
    made = emulator.backend.create_segment(NAME, audience_ids)
    changes = [audience_ids[int(each)] if each.isdigit() else each for each in arguments]
    refused = run_companion("segments", "update", made.id, *changes)
    gone = [each for index, each in enumerate(audience_ids) if index not in left]
    assert (refused.code, f"Remove audience {', '.join(gone)} from" in refused.stderr) == (2, True)
    assert emulator.backend.segments() == [made]
    assert run_companion("segments", "update", made.id, *changes, "--yes").code == 0
    assert emulator.backend.segments()[0].audience_ids == tuple(audience_ids[index] for index in left)


def test_a_change_that_changes_nothing_is_not_sent(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str]
) -> None:
    made = emulator.backend.create_segment(NAME, audience_ids)
    done = run_companion("segments", "update", made.id, "--add", audience_ids[1])
    assert (done.code, "Nothing to change" in done.stdout) == (0, True)
    assert writes(emulator) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("update", "SEGMENT"), "--audience, or changes with --add and --remove"),
        (("update", "SEGMENT", "--audience", "AUDIENCE", "--add", "AUDIENCE"), "--audience, or changes"),
        (("update", "SEGMENT", "--remove", "AUDIENCE", "--yes"), "needs an audience"),
        (("update", "SEGMENT", "--add", "LIST"), "needs an audience. Give the id of its audience"),
        (("create", "--name", "New", "--audience", "LIST"), "needs an audience. Give the id of its audience"),
        (("create", "--name", "New"), "--audience"),
        (("update", "999", "--add", "AUDIENCE"), "no customer segment with that id or name."),
        (("delete", "999", "--yes"), "no customer segment with that id or name."),
        (("delete", "x/y", "--yes"), "no customer segment with that id or name."),
        (("update", "SEGMENT", "--add", "../1"), "no audience with that id or name"),
    ],
)
def test_what_cannot_be_done_is_the_command_lines_fault(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str], arguments: tuple[str, ...], words: str
) -> None:
    made = emulator.backend.create_segment(NAME, audience_ids[:1])
    named = {"SEGMENT": made.id, "AUDIENCE": audience_ids[0], "LIST": emulator.backend.customer_lists()[0].id}
    refused = run_companion("segments", *(named.get(each, each) for each in arguments))
    assert (refused.code, words in refused.stderr) == (2, True), refused.stderr
    assert writes(emulator) == []


def test_a_segment_whose_audiences_pinterest_does_not_tell_is_not_changed(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str]
) -> None:
    body = {"items": [{"id": "7", "name": NAME}]}
    emulator.backend.inject(Fault(method="GET", path="/customer_segments$", status=200, body=body))
    assert run_companion("segments", "update", "7", "--add", audience_ids[0]).code == 4
    assert writes(emulator) == []


def test_a_search_is_pinterests_and_a_size_is_shown_as_it_comes(
    emulator: Emulator, run_companion: Companion, audience_ids: list[str]
) -> None:
    found = emulator.backend.create_segment(NAME, audience_ids)
    emulator.backend.create_segment("Leads", audience_ids)
    assert [each["id"] for each in shown(run_companion, "--search", "customer")] == [found.id]
    assert {"search_query", "include_sizing"} & set(emulator.backend.calls[-1].query) == {"search_query"}
    assert shown(run_companion, "--search", "customer", "--sizing")[0]["sizing"] is None
    assert emulator.backend.calls[-1].query["include_sizing"] == "true"
    body = {"items": [{"id": "7", "name": NAME, "audience_ids": [], "sizing": {"estimate": 12}}]}
    emulator.backend.inject(Fault(status=200, body=body, times=2))
    assert shown(run_companion, "--sizing")[0]["sizing"] == {"estimate": 12}
    assert '{"estimate":12}' in run_companion("segments", "--sizing").stdout


def test_all_pages_are_shown(emulator: Emulator, run_companion: Companion, audience_ids: list[str]) -> None:
    made = [emulator.backend.create_segment(f"segment {n}", audience_ids).id for n in range(251)]
    assert [each["id"] for each in shown(run_companion)] == made
    assert len(emulator.backend.calls) == 2


def test_a_token_of_the_app_alone_is_refused_in_words(emulator: Emulator, run_companion: Companion) -> None:
    body = {"code": 3, "message": "Your token does not have sufficient permissions."}
    emulator.backend.inject(Fault(status=403, body=body))
    refused = run_companion("segments")
    assert (refused.code, "that a person signed in" in refused.stderr) == (3, True), refused.stderr


@pytest.mark.parametrize("option", [("--search", "x"), ("--sizing",), ("--all",)])
def test_an_option_before_a_subcommand_is_not_passed_over(option: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, ["segments", *option, "delete", "1", "--yes"])
    assert (done.exit_code, f"Give {option[0]} after `delete`" in done.output) == (2, True)
