"""The commands of `pinterest-audience` for people, as processes against the emulator."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import LedgerError
from target_pinterest_audience.run.ledger_check import check_ledger
from target_pinterest_audience.settings.load import resolve_settings
from tests.support.account import ACCOUNT, TOKEN
from tests.support.messages import address, people, record, schema
from tests.support.processes import Companion, Target

LIST = "customers"
IDFA = "EA7583CD-A667-48BC-B806-42ECB2B48606"


def table(stdout: str) -> list[dict[str, Any]]:
    """The rows of a listing in JSON."""
    rows: list[dict[str, Any]] = json.loads(stdout)
    return rows


class TestCheck:
    def test_check_succeeds_before_and_after_the_first_run(
        self, emulator: Emulator, run_companion: Companion, run_target: Target
    ) -> None:
        settings = {"customer_list_name": LIST, "load_method": "upsert"}
        before = run_companion("check", **settings)
        assert (before.code, before.stdout.count("✓"), before.stdout.count("✗")) == (0, 6, 0), before.stdout
        assert "✓ ledger: not created yet; the first run creates it at " in before.stdout
        assert f'✓ customer list: customer list "{LIST}" does not exist yet' in before.stdout
        run_target([schema("email"), *people(range(3))], **settings)
        after = run_companion("check", **settings)
        assert (after.code, after.stdout.count("✓"), after.stdout.count("✗")) == (0, 6, 0), after.stdout
        (made,) = emulator.backend.customer_lists()
        assert f"id {made.id}" in after.stdout
        assert "its audience is" in after.stdout

    def test_check_changes_nothing(self, emulator: Emulator, run_companion: Companion, tmp_path: Path) -> None:
        run_companion("check", customer_list_name=LIST)
        assert {call.method for call in emulator.backend.calls} == {"GET"}
        assert not (tmp_path / "ledger.db").exists()

    def test_a_read_only_ledger_is_enough_for_dry_runs(
        self, config: dict[str, Any], run_target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_target([schema("email"), *people([1])], load_method="upsert")
        settings, _ = resolve_settings(config)
        monkeypatch.setattr(os, "access", lambda _, mode: mode == os.R_OK)
        with pytest.raises(LedgerError, match=r"can be read, .*/ledger.db is read-only for this user"):
            check_ledger(settings)
        assert check_ledger(replace(settings, dry_run=True)).detail.endswith("is there.")

    @pytest.mark.parametrize(
        ("settings", "failed", "code"),
        [
            ({"access_token": "wrong"}, "sign-in", 3),
            ({"ad_account_id": "1"}, "ad account", 2),
            ({"customer_list_id": "1"}, "customer list", 2),
            ({"batch_size_row": 1}, "settings", 2),
            ({"api_url": "http://127.0.0.1:9/v5", "max_retries": 0}, "sign-in", 4),
            ({"ledger_url": "sqlite:////dev/null/ledger.db"}, "ledger", 7),
            ({"notify_urls": ["no-such-service://127.0.0.1/7"]}, "alerts", 2),
        ],
    )
    def test_check_names_each_problem_and_exits_with_its_code(
        self, run_companion: Companion, settings: dict[str, Any], failed: str, code: int
    ) -> None:
        checked = run_companion("check", **settings)
        assert checked.code == code, checked.stdout
        assert f"✗ {failed}: " in checked.stdout
        asked = run_companion("check", "--json", **settings)
        assert [each["name"] for each in json.loads(asked.stdout) if each["state"] == "failed"] == [failed]

    @pytest.mark.parametrize("setting", ["report_path", "metrics_path", "rejects_path", "holdout_path"])
    def test_files_that_a_run_could_not_write_fail_the_check(
        self, run_companion: Companion, tmp_path: Path, setting: str
    ) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        for path in ("folder", "file/below"):
            checked = run_companion("check", **{setting: str(tmp_path / path)})
            assert checked.code == 2, checked.stdout
            assert f"✗ files: The file at `{setting}` cannot be written" in checked.stdout
        before = sorted(tmp_path.rglob("*"))
        checked = run_companion("check", **{setting: str(tmp_path / "folder" / "new" / "file")})
        assert checked.code == 0, checked.stdout
        assert f"✓ files: `{setting}` can be written." in checked.stdout
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize("path", ["/ad_accounts", "/customer_lists"])
    def test_a_check_ends_although_the_rate_limit_stays_used_up(
        self, emulator: Emulator, run_companion: Companion, path: str
    ) -> None:
        emulator.backend.inject(Fault(method="GET", path=path, status=429, times=None))
        began = time.monotonic()
        streams = {name: {"customer_list_name": name} for name in ("a", "b", "c", "d")}
        checked = run_companion("check", streams=streams)
        assert checked.code == 4, checked.stdout
        assert checked.stdout.count("✗") == 1
        assert time.monotonic() - began < 30

    def test_alert_addresses_are_checked_and_nothing_is_sent(self, run_companion: Companion) -> None:
        checked = run_companion("check", notify_urls=["json://127.0.0.1:9/7f3a9c"])
        assert checked.code == 0, checked.stdout
        assert "✓ alerts: 1 address; " in checked.stdout
        assert "7f3a9c" not in checked.stdout + checked.stderr

    def test_a_role_that_cannot_change_lists_fails_the_check(self, run_companion: Companion) -> None:
        with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT, permissions=("ANALYST",)) as account:
            checked = run_companion("check", api_url=account.url)
        assert checked.code == 3
        assert "is ANALYST, which cannot change lists" in checked.stdout

    def test_a_wrong_ad_account_fails_the_check_which_names_the_usable_ones(self, run_companion: Companion) -> None:
        checked = run_companion("check", ad_account_id="1")
        assert "✓ sign-in: Pinterest accepts the token." in checked.stdout
        assert f"This sign-in can use {ACCOUNT} (Emulated ad account). Check `ad_account_id`" in checked.stdout
        with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT, forbidden_ad_account_ids=("7",)) as account:
            checked = run_companion("check", ad_account_id="7", api_url=account.url)
        assert (checked.code, checked.stdout.count("✗")) == (3, 1)
        assert "✗ ad account: Pinterest does not permit" in checked.stdout

    def test_a_token_without_the_scopes_fails_the_check_of_the_sign_in(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        emulator.backend.inject(Fault(method="GET", times=None, status=403, body={"code": 3, "message": "scopes"}))
        checked = run_companion("check")
        assert (checked.code, "✗ sign-in: " in checked.stdout) == (3, True)

    @pytest.mark.parametrize("named", [{"customer_list_name": LIST}, {}])
    def test_a_lost_ledger_fails_the_check_if_a_run_would_stop(
        self, run_companion: Companion, run_target: Target, tmp_path: Path, named: dict[str, str]
    ) -> None:
        settings = {"load_method": "upsert", "missing_ledger": "stop", **named}
        assert run_target([schema("email"), *people([1])], **settings).code == 0
        assert run_companion("check", **settings).code == 0
        (tmp_path / "ledger.db").unlink()
        checked = run_companion("check", **settings)
        assert checked.code == 7
        assert "✗ customer list: " in checked.stdout
        assert "A run stops there (`missing_ledger: stop`, exit code 7)" in checked.stdout
        assert run_target([schema("email"), *people([1])], **settings).code == 7

    def test_a_list_that_a_stream_setting_names_is_checked(
        self, run_companion: Companion, run_target: Target, tmp_path: Path
    ) -> None:
        streams: dict[str, Any] = {"customers": {"customer_list_name": "Customers"}, "b*": {"customer_list_name": "B"}}
        settings: dict[str, Any] = {"load_method": "upsert", "missing_ledger": "stop", "streams": streams}
        assert run_target([schema("email"), *people([1])], **settings).code == 0
        (tmp_path / "ledger.db").unlink()
        checked = run_companion("check", **settings)
        assert (checked.code, checked.stdout.count("customer list: ")) == (7, 1)
        assert 'Customer list "Customers" (id ' in checked.stdout

    def test_a_lost_ledger_is_a_warning_if_a_run_would_send_everyone_again(
        self, run_companion: Companion, run_target: Target, tmp_path: Path
    ) -> None:
        settings = {"load_method": "upsert", "customer_list_name": LIST}
        assert run_target([schema("email"), *people([1])], **settings).code == 0
        (tmp_path / "ledger.db").unlink()
        checked = run_companion("check", **settings)
        assert checked.code == 0
        assert "! customer list: " in checked.stdout
        assert (
            "The next run sends everyone again, and cannot remove people who have left since the former runs."
            in checked.stdout
        )
        states = {
            each["name"]: each["state"] for each in json.loads(run_companion("check", "--json", **settings).stdout)
        }
        assert (states["customer list"], states["ledger"]) == ("warning", "ok")
        assert run_target([schema("email"), *people([1])], **settings).code == 0

    @pytest.mark.parametrize("change", [{"load_method": "append-only"}, {"customer_list_name": "another"}])
    def test_a_ledger_that_nothing_depends_on_may_be_missing(
        self, run_companion: Companion, run_target: Target, change: dict[str, str]
    ) -> None:
        run_target([schema("email"), *people([1])])
        settings = {"load_method": "upsert", "customer_list_name": LIST, "missing_ledger": "stop", **change}
        checked = run_companion("check", **settings)
        assert (checked.code, checked.stdout.count("!")) == (0, 0), checked.stdout

    def test_a_ledger_that_cannot_be_opened_is_not_reported_as_empty(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        emulator.backend.create_list(LIST)
        settings = {"load_method": "upsert", "customer_list_name": LIST, "missing_ledger": "stop"}
        checked = run_companion("check", ledger_url="sqlite:////dev/null/ledger.db", **settings)
        assert (checked.code, checked.stdout.count("✗"), checked.stdout.count("!")) == (7, 1, 0), checked.stdout

    def test_an_unreachable_host_is_reported_within_seconds(self, run_companion: Companion) -> None:
        with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as deaf, ExitStack() as stack:
            # Once its queue is full, whoever connects waits.
            for _ in range(4):
                waiting = stack.enter_context(closing(socket.socket()))
                waiting.settimeout(0)
                waiting.connect_ex(deaf.getsockname())
            began = time.monotonic()
            checked = run_companion("check", api_url=f"http://127.0.0.1:{deaf.getsockname()[1]}/v5", max_retries=8)
        assert time.monotonic() - began < 15
        assert (checked.code, "✗ sign-in: No response from 127.0.0.1" in checked.stdout) == (4, True), checked.stdout

    def test_a_host_that_never_answers_is_reported_within_seconds(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        emulator.backend.inject(Fault(method="GET", delay_ms=40_000))
        began = time.monotonic()
        checked = run_companion("check", max_retries=8)
        assert time.monotonic() - began < 15
        assert (checked.code, "✗ sign-in: No response from " in checked.stdout) == (4, True), checked.stdout


class TestLists:
    def test_lists_are_shown(self, emulator: Emulator, run_companion: Companion, run_target: Target) -> None:
        assert "no customer lists" in run_companion("lists").stdout
        run_target([schema("email"), *people(range(3))])
        (made,) = emulator.backend.customer_lists()
        shown = run_companion("lists").stdout.splitlines()
        assert shown[0].split() == [
            "id", "name", "status", "uploaded", "removed", "is_nca", "changed", "members", "rows", "matched", "match",
        ]  # fmt: skip
        assert shown[1].split()[:2] == [made.id, LIST]
        (row,) = table(run_companion("lists", "--json").stdout)
        assert (row["id"], row["uploaded"], row["removed"], row["members"]) == (made.id, 3, 0, None)

    def test_lists_for_new_customer_acquisition_are_told_from_others(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        for name, is_nca in (("customers", False), ("existing", True)):
            emulator.backend.create_list(name, ["a" * 64], is_nca=is_nca)
        rows = table(run_companion("lists", "--json").stdout)
        assert {row["name"]: row["is_nca"] for row in rows} == {"customers": False, "existing": True}
        assert re.search(r"is_nca +yes", run_companion("lists", "show", "existing").stdout)
        assert re.search(r"is_nca +no", run_companion("lists", "show", "customers").stdout)

    @pytest.mark.parametrize("by", ["id", "name"])
    def test_lists_show_compares_the_ledger_with_pinterests_counts(
        self, emulator: Emulator, run_companion: Companion, run_target: Target, by: str
    ) -> None:
        run_target([schema("email"), *people(range(5))], load_method="upsert")
        (made,) = emulator.backend.customer_lists()
        which = made.id if by == "id" else LIST
        shown = json.loads(run_companion("lists", "show", which, "--json").stdout)
        assert shown["id"] == made.id
        assert (shown["members"], shown["sources"], shown["pending"]) == (5, [LIST], 0)
        for words in ("members", LIST, "5"):
            assert words in run_companion("lists", "show", which).stdout

    def test_a_list_that_the_ledger_does_not_know_is_shown(self, emulator: Emulator, run_companion: Companion) -> None:
        made = emulator.backend.create_list(LIST, ["a" * 64])
        shown = json.loads(run_companion("lists", "show", made.id, "--json").stdout)
        assert (shown["members"], shown["ledger"]) == (None, "there is none yet")

    def test_an_unknown_or_ambiguous_name_is_refused(self, emulator: Emulator, run_companion: Companion) -> None:
        assert run_companion("lists", "show", "nobody").code == 2
        first, second = (emulator.backend.create_list(LIST, ["a" * 64]) for _ in range(2))
        refused = run_companion("lists", "show", LIST)
        assert refused.code == 2
        assert f"{first.id}, {second.id}" in refused.stderr


class TestLedger:
    def test_lists_and_runs_are_shown(
        self, emulator: Emulator, run_companion: Companion, run_target: Target, tmp_path: Path
    ) -> None:
        missing = run_companion("ledger", "show")
        assert (missing.code, "no ledger" in missing.stderr) == (2, True)
        run_target([schema("email"), *people(range(5))], load_method="upsert")
        (made,) = emulator.backend.customer_lists()
        shown = json.loads(run_companion("ledger", "show", "--json").stdout)
        assert str(tmp_path) in shown["ledger"]
        assert shown["lists"] == [{"id": made.id, "name": LIST, "members": 5, "pending": 0, "sources": [LIST]}]
        (run,) = shown["runs"]
        assert (run["outcome"], run["rows"], run["pruned"]) == ("clean", 5, False)
        assert made.id in run_companion("ledger", "show").stdout

    def test_a_run_that_failed_is_unfinished(
        self, emulator: Emulator, run_companion: Companion, run_target: Target
    ) -> None:
        emulator.backend.create_list(LIST)
        emulator.backend.inject(Fault(method="PATCH", status=500, times=None))
        assert run_target([schema("email"), *people(range(5))], load_method="upsert", max_retries=0).code == 4
        (run,) = json.loads(run_companion("ledger", "show", "--json").stdout)["runs"]
        assert (run["outcome"], run["ended"]) == ("unfinished", None)
        assert "unfinished" in run_companion("ledger", "show").stdout

    def test_the_statements_of_a_row_are_found_by_its_key(self, run_companion: Companion, run_target: Target) -> None:
        rows = [
            record(id=1, email=address(1), consent=True),
            record(id=2, email=address(2), consent=False),
            record(id="one", email=address(3), consent=True),
        ]
        settings = {"load_method": "upsert", "consent_column": "consent"}
        run_target([schema("email", "consent"), *rows], **settings)

        def found(*arguments: str) -> list[str]:
            shown = json.loads(run_companion("ledger", "find", "--json", *arguments, **settings).stdout)
            return [each["statement"] for each in shown["statements"]]

        assert found("--source", LIST, "--key", "id=1") == ["contributes"]
        assert found("--source", LIST, "--key", "id=2") == ["refuses (consent)"]
        assert found("--source", LIST, "--key", "id=one") == ["contributes"]
        assert found("--source", LIST, "--key", 'id="1"') == ["contributes"]
        assert found("--source", LIST, "--key", "id=4") == []
        assert "contributes" in run_companion("ledger", "find", "--source", LIST, "--key", "id=1", **settings).stdout

    def test_a_rejected_row_is_found_by_its_digest(
        self, run_companion: Companion, run_target: Target, tmp_path: Path
    ) -> None:
        path = tmp_path / "rejects.jsonl"
        rows = [record(id=1, email="no address", idfa=IDFA)]
        run_target([schema("email", "idfa"), *rows], load_method="upsert", rejects_path=str(path))
        row = json.loads(path.read_text(encoding="utf-8"))["row"]
        (said,) = json.loads(run_companion("ledger", "find", "--json", "--row", row).stdout)["statements"]
        assert (said["column"], said["identity_type"], said["statement"]) == ("idfa", "IDFA", "contributes")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((), "Choose the row"),
            (("--source", LIST, "--key", "id"), "COLUMN=VALUE"),
            (("--source", "nobody", "--key", "id=1"), "no source"),
            (("--source", LIST, "--key", "number=1"), "(id)"),
            (("--row", "abc"), "32 hexadecimal"),
        ],
    )
    def test_an_incomplete_or_unknown_key_is_refused(
        self, run_companion: Companion, run_target: Target, arguments: tuple[str, ...], words: str
    ) -> None:
        run_target([schema("email"), *people(range(2))], load_method="upsert")
        refused = run_companion("ledger", "find", *arguments)
        assert refused.code == 2
        assert words in refused.stderr


class TestAudiences:
    def test_an_audience_is_created_renamed_and_deleted(self, emulator: Emulator, run_companion: Companion) -> None:
        assert "no audiences" in run_companion("audiences").stdout
        made = emulator.backend.create_list(LIST, ["a" * 64])
        created = run_companion("audiences", "create", "--list", made.id, "--name", "buyers", "--json")
        audience = json.loads(created.stdout)
        assert (audience["name"], audience["customer_list_id"]) == ("buyers", made.id)
        renamed = run_companion("audiences", "rename", audience["id"], "--name", "customers of 2026")
        assert renamed.code == 0
        (row,) = table(run_companion("audiences", "--json").stdout)
        assert row["name"] == "customers of 2026"
        refused = run_companion("audiences", "delete", audience["id"])
        assert (refused.code, "--yes" in refused.stderr) == (2, True)
        assert len(emulator.backend.audiences()) == 1
        assert run_companion("audiences", "delete", audience["id"], "--yes").code == 0
        assert emulator.backend.audiences() == []
        assert run_companion("audiences", "delete", audience["id"], "--yes").code == 2

    def test_only_the_accounts_own_audiences_are_shown_whatever_form_their_rules_have(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        made = emulator.backend.create_list(LIST, ["a" * 64], is_nca=True)
        own = [emulator.backend.create_audience("buyers", made.id).id]
        rules: list[tuple[str, dict[str, Any]]] = [
            ("ACTALIKE", {"seed_id": own[0], "country": "US", "percentage": "1"}),
            ("ACTALIKE", {"seed_id": [own[0]], "country": "US", "percentage": 1}),
            ("VISITOR", {"visitor_source_id": "549755885175", "retention_days": 30}),
            ("VISITOR", {"visitor_source_id": ["549755885175"], "retention_days": 30}),
        ]
        for kind, rule in rules:
            own.append(emulator.backend.place_audience(kind, kind, rule).id)
        emulator.backend.place_audience("partner", "CUSTOMER_LIST", {"customer_list_id": "1"}, received=True)
        rows = table(run_companion("audiences", "--json").stdout)
        assert [row["id"] for row in rows] == own
        assert [row["is_nca"] for row in rows] == [True, False, False, False, False]

    def test_a_lookalike_starts_from_an_audience(self, emulator: Emulator, run_companion: Companion) -> None:
        made = emulator.backend.create_list(LIST, ["a" * 64])
        seed = emulator.backend.create_audience("buyers", made.id)
        arguments = ("audiences", "lookalike", "--seed", seed.id, "--country", "US", "--percentage")
        assert run_companion(*arguments, "11").code == 2
        assert run_companion(*arguments, "2", "--name", "like buyers").code == 0
        rows = {row["name"]: row for row in table(run_companion("audiences", "--json").stdout)}
        assert (rows["like buyers"]["type"], rows["like buyers"]["customer_list_id"]) == ("ACTALIKE", None)
        (call,) = [each for each in emulator.backend.calls if each.method == "POST"]
        assert call.request is not None
        assert call.request["rule"] == {"seed_id": [seed.id], "country": "US", "percentage": 2}

    def test_a_lookalike_without_a_name_gets_the_one_in_the_help_text(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        made = emulator.backend.create_list(LIST, ["a" * 64])
        seed = emulator.backend.create_audience("buyers", made.id)
        arguments = ("audiences", "lookalike", "--seed", seed.id, "--country", "US", "--percentage", "2", "--json")
        named = json.loads(run_companion(*arguments).stdout)["name"]
        told = " ".join(run_companion("audiences", "lookalike", "--help").stdout.split())
        described = re.search(r'By default "(.*?)"', told)
        assert described is not None
        assert named == described[1].replace("SEED", seed.id).replace("COUNTRY", "US").replace("PERCENTAGE", "2")

    def test_a_value_that_pinterest_refuses_exits_2(self, emulator: Emulator, run_companion: Companion) -> None:
        emulator.backend.inject(Fault(method="POST", status=400, body={"code": 1, "message": "Invalid name"}))
        made = emulator.backend.create_list(LIST, ["a" * 64])
        refused = run_companion("audiences", "create", "--list", made.id, "--name", "Nobody")
        assert refused.code == 2, refused.stderr
        assert "Invalid name" in refused.stderr

    @pytest.mark.parametrize("where", ["../customer_lists/1", "1/x", ""])
    def test_what_is_not_a_number_is_never_part_of_an_address(
        self, emulator: Emulator, run_companion: Companion, where: str
    ) -> None:
        assert run_companion("audiences", "delete", where, "--yes").code == 2
        assert {call.path.rpartition("/")[2] for call in emulator.backend.calls} == {"audiences", "customer_lists"}


@pytest.mark.parametrize("command", ["audiences delete 1 --yes", "lists show x"])
def test_an_option_before_a_subcommand_is_refused(command: str) -> None:
    group, *rest = command.split()
    done = CliRunner().invoke(cli, [group, "--json", *rest])
    assert done.exit_code == 2
    assert f"Give --json after `{rest[0]}`" in done.output


def test_a_key_column_that_is_given_twice_is_refused(run_companion: Companion) -> None:
    told = run_companion("ledger", "find", "--source", "customers", "--key", "id=1", "--key", "id=2")
    assert told.code == 2
