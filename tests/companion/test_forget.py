"""`pinterest-audience forget`: somebody leaves every list of the ad account, and does not come back."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import ACCOUNT, TOKEN, Sent, members
from tests.support.messages import address, deleted, digests, people, record, schema, sha256
from tests.support.processes import Companion, KillCompanion, Run, Target, feed, running
from tests.support.waiting import wait_until

EMAIL = schema("email")
LIST = "customers"
WHO = address(1)
FORMS = frozenset(
    each(WHO.encode(), usedforsecurity=False).hexdigest() for each in (hashlib.sha256, hashlib.sha1, hashlib.md5)
)
FORGET = ("forget", "--email", WHO, "--yes")
IDFA = "EA7583CD-A667-48BC-B806-42ECB2B48606"


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert"}


def receipt(run: Run) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def holding(emulator: Emulator) -> list[str]:
    """The lists that hold the person in any form."""
    return [each.name for each in emulator.backend.customer_lists() if each.members & FORMS]


def test_a_forgotten_person_leaves_every_list_and_is_not_added_by_the_next_full_run(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    run_target([EMAIL, *people(range(4))])
    run_target([EMAIL, *people(range(4))], customer_list_name="of SHA-1", hash_algorithm="sha1")
    for number, form in enumerate(sorted(FORMS)):
        emulator.backend.create_list(f"others' {number}", [form, "f" * 64])
    assert len(holding(emulator)) == 5
    forgotten = run_companion(*FORGET)
    assert forgotten.code == 0, forgotten.stderr
    assert holding(emulator) == []
    assert members(emulator) == digests([0, 2, 3])
    for settings in ({}, {"customer_list_name": "of SHA-1", "hash_algorithm": "sha1"}, {"hash_algorithm": "md5"}):
        assert run_target([EMAIL, *people(range(4)), record(id=77, email=f" {WHO.upper()} ")], **settings).code == 0
        assert holding(emulator) == []
        assert len(members(emulator)) >= 3


def test_lists_on_every_page_get_the_request(run_companion: Companion) -> None:
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT, page_size_limit=2) as account:
        for number in range(5):
            account.backend.create_list(f"list {number}", FORMS)
        assert run_companion(*FORGET, api_url=account.url).code == 0
        assert holding(account) == []


def test_a_forgotten_person_is_not_added_to_new_or_newly_known_lists(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    emulator.backend.create_list("known later", ["f" * 64])
    assert run_companion(*FORGET).code == 0
    for name in ("made later", "known later"):
        run = run_target([EMAIL, *people(range(4))], customer_list_name=name)
        assert run.code == 0, run.stderr
        assert "1 refused" in run.stderr
        assert members(emulator, name) >= digests([0, 2, 3])
    assert holding(emulator) == []


def test_a_changed_row_or_another_row_does_not_add_a_forgotten_person(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    message = schema("email", "consent", "_sdc_deleted_at")
    settings = {"consent_column": "consent"}
    run_target([message, record(id=1, email=WHO, consent="yes")], **settings)
    run_companion(*FORGET)
    for row in (
        record(id=1, email=address(2), consent="yes"),
        record(id=1, email=WHO, consent="yes"),
        record(id=2, email=WHO, consent="no"),
        record(id=2, email=WHO, consent="yes"),
        deleted(2),
        record(id=3, email=WHO, consent="yes"),
    ):
        assert run_target([message, row], **settings).code == 0
    assert members(emulator) == frozenset()


def test_a_refusal_by_a_row_stays_without_suppression_too(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    message = schema("email", "consent")
    rows = [record(id=1, email=WHO, consent="no"), record(id=2, email=WHO, consent="yes")]
    run_target([message, *rows, record(id=3, email=address(3), consent="yes")], consent_column="consent")
    assert run_companion(*FORGET, "--no-suppress").code == 0
    run_target([message, rows[1]], consent_column="consent")
    assert members(emulator) == digests([3])


def test_without_suppression_the_next_run_that_reads_them_adds_them_again(
    emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent
) -> None:
    run_target([EMAIL, *people(range(4))])
    assert run_companion(*FORGET, "--no-suppress").code == 0
    assert holding(emulator) == []
    run_target([EMAIL, *people([2])])
    assert holding(emulator) == []
    run_target([EMAIL, *people(range(4))])
    assert members(emulator) == digests(range(4))
    sent()
    run_target([schema("email", "_sdc_deleted_at"), deleted(1)])
    assert members(emulator) == digests([0, 2, 3])


@pytest.mark.parametrize("option", ["--idfa", "--gaid", "--maid"])
def test_a_device_id_is_removed_as_an_ios_id_and_as_an_android_id(
    emulator: Emulator, run_target: Target, run_companion: Companion, option: str
) -> None:
    columns = schema("idfa", "gaid", "maid", "lr_id")
    rows = [
        record(id=1, idfa=IDFA),
        record(id=2, gaid=IDFA),
        record(id=3, maid=IDFA.lower()),
        record(id=4, lr_id="XY1"),
        record(id=5, idfa=IDFA.replace("A", "B")),
    ]
    run_target([columns, *rows])
    assert run_companion("forget", option, IDFA.title(), "--lr-id", "XY1", "--yes").code == 0
    run_target([columns, *rows])
    assert members(emulator) == {sha256(IDFA.replace("A", "B"))}
    assert members(emulator, "customers - LR_ID") == frozenset()


def test_a_digest_removes_only_itself(emulator: Emulator, run_companion: Companion) -> None:
    made = emulator.backend.create_list(LIST, FORMS)
    assert run_companion("forget", "--digest", sha256(WHO).upper(), "--yes").code == 0
    assert emulator.backend.members(made.id) == FORMS - {sha256(WHO)}


def test_values_come_from_standard_input_line_by_line(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    run_target([EMAIL, *people(range(9))])
    given = "\ufeff" + "\r\n".join([address(1), "", f"  {address(2).upper()} ", sha256(address(3))])
    forgotten = run_companion("forget", "--email", "-", "--digest", sha256(address(4)), "--yes", stdin=given.encode())
    assert forgotten.code == 0, forgotten.stderr
    assert "5 identities" not in forgotten.stdout
    assert "4 identities" in forgotten.stdout
    assert members(emulator) == digests([0, 5, 6, 7, 8])


def test_values_come_from_files_of_several_types(
    emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([schema("email", "idfa"), *people(range(5)), record(id=9, idfa=IDFA)])
    (tmp_path / "people.txt").write_text(f"\ufeff{address(1)}\r\n\r\n{address(2)}\n", encoding="utf-8")
    (tmp_path / "devices.txt").write_text(f"{IDFA}\n", encoding="utf-8")
    files = ("--email", f"@{tmp_path}/people.txt", "--idfa", f"@{tmp_path}/devices.txt")
    told = receipt(run_companion("forget", *files, "--email", "-", "--yes", "--json", stdin=address(3).encode()))
    assert (told["identities"], [each["people"] for each in told["lists"]]) == (4, [4])
    assert members(emulator) == digests([0, 4])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff", "is not UTF-8"),
        (f"{WHO}\nperson@example\n".encode(), "line 2 of "),
        (b"\n", "Give at least one identity"),
    ],
)
def test_a_file_that_names_nobody_is_refused(
    emulator: Emulator, run_companion: Companion, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "people.txt"
    if content is not None:
        path.write_bytes(content)
    refused = run_companion("forget", "--email", f"@{path}", "--yes")
    assert (refused.code, words in refused.stderr) == (2, True)
    assert "person" not in refused.stderr
    assert emulator.backend.calls == []


def test_many_identities_are_removed_in_requests_of_the_usual_size(
    emulator: Emulator, run_companion: Companion
) -> None:
    emulator.backend.create_list(LIST, digests(range(50)))
    given = "\n".join(map(address, range(40))).encode()
    forgotten = run_companion("forget", "--email", "-", "--yes", "--json", stdin=given, batch_size_rows=50)
    assert [len(each["request_ids"]) for each in receipt(forgotten)["lists"]] == [3]
    assert members(emulator) == digests(range(40, 50))


class TestSeveralConfigurations:
    """`--also`: one command for several ad accounts, each with its ledger."""

    @pytest.fixture
    def other(self, config: dict[str, Any], run_target: Target, tmp_path: Path) -> Iterator[Emulator]:
        """Another ad account, with a configuration in `other.json`."""
        with Emulator(access_token=TOKEN, ad_account_id="77") as other:
            there = {"api_url": other.url, "ad_account_id": "77", "ledger_url": f"sqlite:///{tmp_path}/other.db"}
            (tmp_path / "other.json").write_text(json.dumps({**config, **there}), encoding="utf-8")
            run_target([EMAIL, *people(range(4))])
            run_target([EMAIL, *people(range(4))], **there)
            yield other

    def test_people_leave_the_lists_of_all_of_them(
        self, emulator: Emulator, other: Emulator, run_companion: Companion, tmp_path: Path
    ) -> None:
        both = (*FORGET, "--also", f"{tmp_path}/other.json")
        here, there = json.loads(run_companion(*both, "--json").stdout)
        assert [(each["ad_account_id"], each["lists"][0]["people"]) for each in (here, there)] == [
            (ACCOUNT, 1),
            ("77", 1),
        ]
        assert (holding(emulator), holding(other)) == ([], [])
        shown = run_companion(*both)
        assert (shown.code, shown.stdout.count("Ad account ")) == (0, 2)

    def test_one_that_fails_does_not_keep_the_others_from_it(
        self, emulator: Emulator, other: Emulator, run_companion: Companion, tmp_path: Path
    ) -> None:
        emulator.backend.inject(Fault(method="PATCH", status=500, times=None))
        failed = run_companion(*FORGET, "--also", f"{tmp_path}/other.json", "--json", max_retries=0)
        assert (failed.code, f"Ad account {ACCOUNT} is not done." in failed.stderr) == (4, True)
        assert [each["lists"][0]["outcome"] for each in json.loads(failed.stdout)] == ["not done", "removed"]
        assert (holding(emulator), holding(other)) == ([LIST], [])

    def test_nothing_is_done_if_one_cannot_be_read(
        self, emulator: Emulator, other: Emulator, run_companion: Companion, tmp_path: Path
    ) -> None:
        (tmp_path / "other.json").write_text("{")
        refused = run_companion(*FORGET, "--also", f"{tmp_path}/other.json")
        assert (refused.code, "other.json is not JSON" in refused.stderr) == (2, True)
        assert (holding(emulator), holding(other)) == ([LIST], [LIST])


class TestReceipt:
    def test_it_tells_lists_with_the_people_from_those_that_were_asked_as_a_precaution(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        run_target([EMAIL, *people(range(2))], customer_list_name="vip", hash_algorithm="md5")
        run_target([EMAIL, *people(range(3, 5))], customer_list_name="others")
        emulator.backend.create_list("by hand", FORMS)
        two = ("forget", "--email", WHO, "--email", address(2), "--yes", "--reference", " DSR-17 ")
        shown = run_companion(*two, "--dry-run").stdout
        told = receipt(run_companion(*two, "--json"))
        assert {each["customer_list"]: (each["people"], each["reason"]) for each in told["lists"]} == {
            "customers": (2, "on the list"),
            "vip": (1, "on the list"),
            "others": (0, "precaution"),
            "by hand": (0, "precaution"),
        }
        assert (told["reference"], told["user"], told["host"]) == (
            "DSR-17",
            pwd.getpwuid(os.getuid()).pw_name,
            socket.gethostname(),
        )
        assert 'According to the ledger, they were on "customers" (2), "vip" (1).' in shown
        assert "As a precaution: 2 lists on which" in shown
        assert f"by {told['user']}@{told['host']}, reference DSR-17." in shown

    def test_people_who_may_be_on_a_list_after_an_interrupted_run_count(
        self, run_target: Target, run_companion: Companion, kill_companion: KillCompanion
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        kill_companion(*FORGET)
        (told,) = receipt(run_companion(*FORGET, "--json"))["lists"]
        assert (told["people"], told["outcome"]) == (1, "removed")
        (told,) = receipt(run_companion(*FORGET, "--json"))["lists"]
        assert (told["people"], told["reason"]) == (0, "precaution")

    @pytest.mark.parametrize("reference", [WHO, "mail of ada@example.org", IDFA, "", "x" * 201])
    def test_a_reference_must_not_name_a_person(self, run_companion: Companion, reference: str) -> None:
        refused = run_companion(*FORGET, "--reference", reference)
        assert (refused.code, "a reference " in refused.stderr) == (2, True)
        assert not any(each in refused.stderr for each in ("example.org", IDFA))

    def test_the_receipt_has_the_time_lists_and_request_ids_but_no_identity(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        other = emulator.backend.create_list("other", ["f" * 64])
        made = emulator.backend.customer_lists()[0]
        forgotten = run_companion(*FORGET, "--json")
        told = receipt(forgotten)
        assert (told["ad_account_id"], told["identities"], told["suppressed"], told["dry_run"]) == (
            ACCOUNT, 1, True, False,
        )  # fmt: skip
        assert [(each["customer_list_id"], each["customer_list"], each["outcome"]) for each in told["lists"]] == [
            (made.id, LIST, "removed"),
            (other.id, "other", "removed"),
        ]
        assert all(at.endswith("+00:00") for at in [told["at"], *(each["accepted"] for each in told["lists"])])
        requests = [number for each in told["lists"] for number in each["request_ids"]]
        assert len(set(requests)) == 2
        assert all(number.isdigit() for number in requests)
        shown = run_companion(*FORGET)
        for told_of in (forgotten.stdout, forgotten.stderr, shown.stdout, shown.stderr):
            assert not any(each in told_of for each in (WHO, *FORMS))
        assert made.id in shown.stdout
        for file in tmp_path.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                assert WHO.encode() not in content, file
                # Half of a digest is what a suppression needs.
                assert not any(bytes.fromhex(each[32:]) in content for each in FORMS if len(each) > 32), file

    def test_a_dry_run_names_the_lists_and_changes_nothing(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, sent: Sent
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        sent()
        dry = run_companion("forget", "--email", WHO, "--dry-run", "--json")
        assert dry.code == 0, dry.stderr
        (told,) = receipt(dry)["lists"]
        assert (told["customer_list"], told["outcome"], told["accepted"], told["request_ids"]) == (
            LIST,
            "would be removed",
            None,
            [],
        )
        run_target([EMAIL, *people(range(4))])
        assert sent() == []
        run_target([EMAIL, *people([1])], customer_list_name="later")
        assert holding(emulator) == [LIST, "later"]

    def test_a_dry_run_creates_no_ledger(self, run_companion: Companion, tmp_path: Path) -> None:
        assert run_companion("forget", "--email", WHO, "--dry-run").code == 0
        assert not list(tmp_path.glob("ledger*"))

    def test_the_receipt_is_printed_even_if_pinterest_fails_halfway(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        made = [emulator.backend.create_list(f"list {number}", FORMS) for number in range(3)]
        emulator.backend.inject(Fault(method="PATCH", skip=1, status=500, times=None))
        failed = run_companion(*FORGET, "--json", max_retries=0)
        assert failed.code == 4
        assert [each["outcome"] for each in receipt(failed)["lists"]] == ["removed", "not done", "not done"]
        emulator.backend.clear_faults()
        assert run_companion(*FORGET).code == 0
        assert not any(emulator.backend.members(each.id) for each in made)

    def test_removals_that_were_not_sent_are_not_counted(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        emulator.backend.inject(Fault(method="PATCH", status=500))
        assert run_companion(*FORGET, max_retries=0).code == 4
        run_target([EMAIL, *people(range(4))])
        assert members(emulator) == digests([0, 2, 3])
        told = json.loads(run_companion("report", "--json").stdout)
        assert [(run["command"], sum(each["removed"] for each in run["lists"])) for run in told["runs"]] == [
            ("run", 0), ("forget", 0), ("run", 1)
        ]  # fmt: skip

    def test_the_other_lists_are_processed_when_one_list_refuses(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        first, second = (emulator.backend.create_list(f"list {number}", FORMS) for number in range(2))
        emulator.backend.inject(Fault(method="PATCH", path=first.id, status=400, times=None))
        refused = run_companion(*FORGET, "--json")
        assert refused.code == 5
        assert first.id in refused.stderr
        assert [each["outcome"] for each in receipt(refused)["lists"]] == ["refused by Pinterest", "removed"]
        assert emulator.backend.members(second.id) == frozenset()

    def test_a_listed_list_that_pinterest_does_not_find_is_reported(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        first, second = (emulator.backend.create_list(f"list {number}", FORMS) for number in range(2))
        emulator.backend.inject(Fault(method="PATCH", path=first.id, status=404))
        missing = run_companion(*FORGET, "--json")
        assert missing.code == 4
        assert [each["outcome"] for each in receipt(missing)["lists"]] == ["list not found", "removed"]
        assert emulator.backend.members(second.id) == frozenset()

    def test_a_list_that_no_longer_exists_is_not_an_error(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        emulator.backend.reset()
        forgotten = run_companion(*FORGET, "--json")
        assert forgotten.code == 0
        assert [each["outcome"] for each in receipt(forgotten)["lists"]] == ["list is gone"]


class TestInterruptions:
    def test_a_killed_forget_can_be_repeated(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, kill_companion: KillCompanion
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        emulator.backend.create_list("other", FORMS)
        kill_companion(*FORGET)
        assert holding(emulator) == [LIST, "other"]
        assert run_companion(*FORGET).code == 0
        assert holding(emulator) == []
        assert json.loads(run_companion("ledger", "show", "--json").stdout)["lists"][0]["pending"] == 0
        run_target([EMAIL, *people(range(4))])
        assert holding(emulator) == []

    def test_a_run_finishes_a_killed_forget_on_its_list(
        self, emulator: Emulator, run_target: Target, kill_companion: KillCompanion
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        kill_companion(*FORGET)
        assert run_target([EMAIL, *people(range(4))]).code == 0
        assert members(emulator) == digests([0, 2, 3])

    def test_notes_of_an_interrupted_run_do_not_add_a_forgotten_person(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        run_target([EMAIL, *people([0])])
        emulator.backend.inject(Fault(method="PATCH", status=500))
        assert run_target([EMAIL, *people(range(3))], max_retries=0).code == 4
        assert run_companion(*FORGET).code == 0
        assert run_target([EMAIL, *people([0])]).code == 0
        assert members(emulator) == digests([0, 2])

    def test_forget_waits_for_a_run_and_then_gives_up(
        self,
        emulator: Emulator,
        run_target: Target,
        run_companion: Companion,
        config: dict[str, Any],
        tmp_path: Path,
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        calls = len(emulator.backend.calls)
        with running(config, tmp_path) as process:
            feed(process, [EMAIL])
            wait_until(lambda: len(emulator.backend.calls) > calls)
            refused = run_companion(*FORGET, lock_wait_seconds=0)
        assert (refused.code, "Another run" in refused.stderr) == (7, True)
        assert members(emulator) == digests(range(4))


class TestAnEndThatTheLedgerCannotNote:
    @pytest.fixture(autouse=True)
    def _noting_fails(self, run_target: Target, tmp_path: Path) -> None:
        run_target([EMAIL, *people(range(4))])
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute(
                "CREATE TRIGGER refuse BEFORE UPDATE OF ended ON history BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )
            other.commit()

    def test_does_not_hide_what_ended_it(self, emulator: Emulator, run_companion: Companion) -> None:
        emulator.backend.inject(Fault(method="PATCH", status=403, body={"code": 29, "message": "no"}))
        refused = run_companion(*FORGET)
        assert refused.code == 3
        assert "does not permit" in refused.stderr.splitlines()[-1]
        assert "The history of runs does not show how this command ended." in refused.stderr

    def test_does_not_make_a_failure_of_what_was_done(self, emulator: Emulator, run_companion: Companion) -> None:
        done = run_companion(*FORGET)
        assert (done.code, holding(emulator)) == (0, [])
        assert "The history of runs does not show how this command ended." in done.stderr


class TestAppendOnly:
    @pytest.fixture
    def config(self, config: dict[str, Any]) -> dict[str, Any]:
        return {**config, "load_method": "append-only"}

    @pytest.fixture(params=[["email"], ["email", "consent"]], ids=["together", "row by row"])
    def stream(self, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
        """Rows that are read in blocks, or, where many are odd, one by one."""
        if request.param == ["email"]:
            return [EMAIL, *people(range(4))]
        rows = [[record(id=n, email=address(n), consent="yes"), record(id=9, consent="no")] for n in range(4)]
        return [schema(*request.param), *(row for both in rows for row in both)]

    def test_forget_uses_the_ledger_of_the_settings(
        self,
        emulator: Emulator,
        run_target: Target,
        run_companion: Companion,
        stream: list[dict[str, Any]],
        config: dict[str, Any],
    ) -> None:
        if "consent" in stream[0]["schema"]["properties"]:
            config["consent_column"] = "consent"
        run_target(stream)
        assert run_companion(*FORGET).code == 0
        assert members(emulator) == digests([0, 2, 3])
        run = run_target(stream)
        assert run.code == 0, run.stderr
        assert members(emulator) == digests([0, 2, 3])
        assert "3 to add" in run.stderr
        assert "1 refused" in run.stderr

    def test_without_suppression_forget_creates_no_ledger(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(4))])
        assert run_companion(*FORGET, "--no-suppress").code == 0
        assert holding(emulator) == []
        assert not list(tmp_path.glob("ledger*"))


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        ((), "", "Give at least one identity"),
        ((WHO,), "", "Give each value with the option of its type"),
        (("--email", "person@example"), "", "--email: a value is not an e-mail address"),
        (("--email", "-"), f"{WHO}\nperson@example\n", "--email: line 2 of standard input is not an e-mail address"),
        (("--email", "-"), "\n \n", "Give at least one identity"),
        (("--email", "-", "--idfa", "-"), "", "for one option only"),
        (("--idfa", "a" * 32), "", "a digest with --digest"),
        (("--hashed-pinner-id", "person@example"), "", "--hashed-pinner-id: a value is not a digest"),
        (("--digest", "person@example"), "", "--digest: a value is not a digest"),
    ],
)
def test_an_invalid_value_is_refused_and_not_repeated_in_the_message(
    emulator: Emulator, run_companion: Companion, arguments: tuple[str, ...], stdin: str, words: str
) -> None:
    refused = run_companion("forget", *arguments, "--yes", stdin=stdin.encode())
    assert refused.code == 2
    assert words in refused.stderr
    assert "person" not in refused.stderr.replace("person@example.com --config", "")
    assert emulator.backend.calls == []


@pytest.mark.parametrize("value", [WHO, "-"])
def test_forget_asks_for_confirmation(emulator: Emulator, run_companion: Companion, tmp_path: Path, value: str) -> None:
    refused = run_companion("forget", "--email", value, stdin=WHO.encode())
    assert (refused.code, "--yes" in refused.stderr) == (2, True)
    assert emulator.backend.calls == []
    assert not list(tmp_path.glob("ledger*"))


def test_ledger_show_counts_suppressed_digests(run_companion: Companion) -> None:
    run_companion(*FORGET)
    run_companion(*FORGET)
    assert json.loads(run_companion("ledger", "show", "--json").stdout)["suppressions"] == 3
    assert "3 digests and ids are suppressed" in run_companion("ledger", "show").stdout


def test_prune_and_clear_skip_forgotten_people(
    emulator: Emulator, run_target: Target, run_companion: Companion, tmp_path: Path
) -> None:
    run_target([EMAIL, *people(range(4))], load_method="overwrite")
    run_companion(*FORGET)
    run_target([EMAIL, *people(range(3))], load_method="overwrite")
    assert run_companion("prune", load_method="overwrite").code == 0
    assert members(emulator) == digests([0, 2])
    assert run_companion("clear", "--list", LIST, "--yes").code == 0
    assert run_companion("ledger", "reset", "--yes").code == 0
    run_target([EMAIL, *people(range(4))])
    assert members(emulator) == digests([0, 2, 3])
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        assert ledger.execute("SELECT COUNT(*) FROM members WHERE refusers = 1").fetchone() == (3,)


def test_another_ad_account_in_the_same_ledger_is_not_affected(run_target: Target, run_companion: Companion) -> None:
    with Emulator(access_token=TOKEN, ad_account_id="77") as other:
        there = {"api_url": other.url, "ad_account_id": "77"}
        run_target([EMAIL, *people(range(4))], **there)
        assert run_companion(*FORGET).code == 0
        assert run_target([EMAIL, *people(range(4)), record(id=9, email=address(9))], **there).code == 0
        assert members(other) == digests([0, 1, 2, 3, 9])
