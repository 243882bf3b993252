"""How many of the rows Pinterest recognises: what runs find out about it, and where people read it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import ACCOUNT, TOKEN
from tests.support.messages import deleted, people, record, schema
from tests.support.processes import Companion, Prune, Target, companion_command, environment
from tests.support.receivers import Receiver, listening

EMAIL = schema("email")
UUID = "EA7583CD-B890-48BC-8F00-{:012d}"
HOUR = 3_600


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A Pinterest that matches 60 % at once."""
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT, processing_seconds=0, match_percent=60) as server:
        yield server


@pytest.fixture
def config(config: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    return {**config, "load_method": "overwrite", "report_path": str(tmp_path / "report.json")}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as server:
        yield server


def of_lists(folder: Path) -> list[tuple[Any, ...]]:
    """Members, rows, matched people and the match rate of each list in the report file."""
    names = ("members", "contributing_rows", "matched", "match_percent")
    return [tuple(each[name] for name in names) for each in json.loads((folder / "report.json").read_text())["lists"]]


def age_history(folder: Path, hours: float) -> None:
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        ledger.execute("UPDATE history SET started = started - ?, ended = ended - ?", (hours * HOUR, hours * HOUR))
        ledger.commit()


def tell_sizes(emulator: Emulator, *sizes: int | None, **fields: object) -> None:
    """Let Pinterest tell the sizes of the account's audiences, in each listing from now on."""
    items = [
        {
            "id": each.id,
            "audience_type": "CUSTOMER_LIST",
            "rule": {"customer_list_id": each.customer_list_id},
            "size": size,
            **fields,
        }
        for each, size in zip(emulator.backend.audiences(), sizes, strict=True)
    ]
    body = {"items": items, "bookmark": None}
    emulator.backend.clear_faults()
    emulator.backend.inject(Fault(method="GET", path="/audiences$", status=200, body=body, times=None))


def test_it_is_the_share_of_rows_not_of_identities(run_target: Target, tmp_path: Path) -> None:
    message = schema("email", "idfa")
    rows = [record(id=n, email=f"p{n}@example.com", idfa=UUID.format(n)) for n in range(200)]
    odd = [record(id=900, email="no address"), record(id=901)]
    for expected in [(400, 200, None, None), (400, 200, 240, 120.0)]:
        assert run_target([message, *rows, *odd]).code == 0
        assert of_lists(tmp_path) == [expected]


def test_rows_are_counted_as_they_come_change_and_leave(
    emulator: Emulator, run_target: Target, run_prune: Prune, run_companion: Companion, tmp_path: Path
) -> None:
    message = schema("email", "_sdc_deleted_at")
    run_target([message, *people(range(50))])
    run_target([message, *people(range(1, 50)), deleted(0)])
    # Two rows with one address are two rows; a row without an address is none.
    run_target([message, *people(range(2, 50)), record(id=1, email=None), record(id=70, email="person2@example.com")])
    assert of_lists(tmp_path)[0][:2] == (48, 49)
    run_target([message, *people(range(2, 50))])
    assert run_prune().code == 0
    assert json.loads(run_companion("report", "--json").stdout)["lists"][0]["contributing_rows"] == 48
    assert len(emulator.backend.members(emulator.backend.customer_lists()[0].id)) == 48


def test_the_report_has_rows_matched_people_and_the_rate(run_target: Target, run_companion: Companion) -> None:
    run_target([EMAIL, *people(range(200))])
    run_target([EMAIL, *people(range(200))])
    told = json.loads(run_companion("report", "--json").stdout)
    assert [run["lists"][0]["match_percent"] for run in told["runs"]] == [None, 60.0]
    (known,) = told["lists"]
    assert (known["contributing_rows"], known["matched"], known["match_percent"]) == (200, 120, 60.0)
    table = run_companion("report").stdout
    assert "60.0 %" in table
    assert "matched" in table


def test_without_a_wish_for_an_audience_its_size_is_still_asked_for(
    emulator: Emulator, run_target: Target, tmp_path: Path
) -> None:
    made = emulator.backend.create_list("customers")
    emulator.backend.create_audience("Customers", made.id)
    assert run_target([EMAIL, *people(range(10))], create_audience=False).code == 0
    assert of_lists(tmp_path) == [(10, 10, 6, 60.0)]


def test_a_size_that_cannot_be_asked_for_fails_no_run(emulator: Emulator, run_target: Target, tmp_path: Path) -> None:
    emulator.backend.inject(Fault(method="GET", path="/audiences$", status=500, times=None))
    run = run_target([EMAIL, *people(range(10))], create_audience=False, max_retries=0)
    assert run.code == 0, run.stderr
    assert of_lists(tmp_path) == [(10, 10, None, None)]
    assert "This run does not know how many people Pinterest matched." in run.stderr


@pytest.mark.parametrize(
    ("size", "status", "matched"), [(0, "INITIALIZING", None), (0, "TOO_SMALL", 0), (None, "TOO_SMALL", None)]
)
def test_a_size_of_0_while_pinterest_is_matching_is_none(
    emulator: Emulator, run_target: Target, tmp_path: Path, size: int | None, status: str, matched: int | None
) -> None:
    run_target([EMAIL, *people(range(10))])
    tell_sizes(emulator, size, status=status)
    run_target([EMAIL, *people(range(10))])
    assert of_lists(tmp_path)[0][2] == matched


class TestLists:
    def test_each_list_has_its_rows_and_its_match_rate(self, run_target: Target, run_companion: Companion) -> None:
        run_target([EMAIL, *people(range(200))])
        (row,) = json.loads(run_companion("lists", "--json").stdout)
        assert (row["members"], row["contributing_rows"], row["matched"], row["match_percent"]) == (200, 200, 120, 60.0)
        assert row["untargetable"] is None
        shown = run_companion("lists").stdout
        assert ("60.0 %" in shown, "cannot be targeted" in shown) == (True, False)
        told = json.loads(run_companion("lists", "show", "customers", "--json").stdout)
        assert (told["contributing_rows"], told["matched"], told["match_percent"]) == (200, 120, 60.0)
        assert "60.0 %" in run_companion("lists", "show", "customers").stdout

    def test_a_list_that_cannot_be_targeted_is_named(
        self, emulator: Emulator, run_target: Target, run_companion: Companion
    ) -> None:
        run_target([EMAIL, *people(range(26))])
        (made,) = emulator.backend.customer_lists()
        words = "It cannot be targeted: Pinterest recognises 15 people on it so far. Pinterest needs 100 people"
        shown = run_companion("lists").stdout
        assert f'Customer list "customers" (id {made.id}): {words}' in shown
        assert "\x1b" not in shown
        assert words in run_companion("lists", "show", "customers").stdout
        (audience,) = emulator.backend.audiences()
        assert words in run_companion("audiences", "show", audience.id).stdout

    @pytest.mark.parametrize(("variables", "red"), [({}, True), ({"NO_COLOR": "1"}, False)])
    def test_it_is_red_on_a_terminal_unless_colours_are_unwanted(
        self,
        run_target: Target,
        config: dict[str, Any],
        tmp_path: Path,
        variables: dict[str, str],
        red: bool,  # noqa: FBT001 - a case
    ) -> None:
        run_target([EMAIL, *people(range(26))])
        mine, theirs = os.openpty()
        command = companion_command(config, tmp_path, "lists")
        environ = {name: value for name, value in environment(TERM="xterm").items() if name != "NO_COLOR"}
        with subprocess.Popen(command, stdout=theirs, cwd=tmp_path, env={**environ, **variables}) as process:
            os.close(theirs)
            shown = b""
            # The end of the other side is an error on Linux.
            with contextlib.suppress(OSError):
                while more := os.read(mine, 4096):
                    shown += more
        os.close(mine)
        assert process.returncode == 0
        assert b"cannot be targeted" in shown
        assert (b"31m" in shown) == red

    def test_a_ledger_that_cannot_be_read_hides_no_list(
        self, run_target: Target, run_companion: Companion, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(26))])
        (tmp_path / "broken.db").write_bytes(b"no ledger" * 1_000)
        shown = run_companion("lists", "--json", ledger_url=f"sqlite:///{tmp_path}/broken.db")
        (row,) = json.loads(shown.stdout)
        assert (row["members"], row["matched"], row["match_percent"]) == (None, 15, None)
        assert "The ledger cannot be read, so `members`, `rows` and `match` are not shown." in shown.stderr


class TestAlerts:
    @pytest.fixture(autouse=True)
    def alert_config(self, config: dict[str, Any], receiver: Receiver) -> None:
        config["notify_urls"] = [f"json://{receiver.host}/"]

    def test_a_fallen_rate_is_told(
        self, emulator: Emulator, run_target: Target, run_prune: Prune, receiver: Receiver, tmp_path: Path
    ) -> None:
        for _ in range(2):
            assert run_target([EMAIL, *people(range(200))]).code == 0
            assert run_prune().code == 0
        age_history(tmp_path, 71)
        tell_sizes(emulator, 90, status="TOO_SMALL")
        run_target([EMAIL, *people(range(200))])
        assert receiver.messages == []
        age_history(tmp_path, 2)
        run_target([EMAIL, *people(range(200))])
        (message,) = receiver.messages
        assert message["title"] == 'Pinterest audience: List "customers": the match rate fell from 60 % to 45 %'
        assert "Pinterest recognises 90 people now and recognised 120 three days ago" in message["message"]

    def test_nobody_recognised_is_told_after_three_days(
        self, emulator: Emulator, run_target: Target, receiver: Receiver, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people(range(200))])
        tell_sizes(emulator, 0, status="TOO_SMALL")
        run_target([EMAIL, *people(range(200))])
        age_history(tmp_path, 73)
        assert receiver.messages == []
        run_target([EMAIL, *people(range(200))])
        (message,) = receiver.messages
        assert message["title"].endswith('List "customers": Pinterest still recognises no one after three days')
        assert "200 rows contribute to it" in message["message"]
