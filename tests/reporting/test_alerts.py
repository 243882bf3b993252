"""Alerts, from processes against the emulator to receivers on this machine."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import ACCOUNT, TOKEN
from tests.support.client import OAUTH
from tests.support.messages import people, record, schema
from tests.support.processes import Companion, Prune, Target, companion_command, environment, feed, lines, running
from tests.support.receivers import Receiver, listening
from tests.support.waiting import wait_until

EMAIL = schema("email")
UPSERT = {"load_method": "upsert"}
OVERWRITE = {"load_method": "overwrite"}
HOUR = 3_600
LIST = 'Pinterest customer list "customers": '
"""Begins the title of a message, unless the title of the alert names the list."""
SECRET_PATH = "T0PS3CR3TT0KEN/path"
SECRET_PASSWORD = "pa55wordpa55word"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as server:
        yield server


@pytest.fixture
def alert_config(config: dict[str, Any], receiver: Receiver) -> dict[str, Any]:
    """The settings of `run_target` and the like, with an address for alerts."""
    config["notify_urls"] = [f"json://user:{SECRET_PASSWORD}@{receiver.host}/{SECRET_PATH}"]
    return config


pytestmark = pytest.mark.usefixtures("alert_config")


def let_pass(folder: Path, hours: float) -> None:
    """Let everything that the ledger knows of alerts and runs be older."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        ledger.execute("UPDATE alerts SET since = since - ?, told = told - ?", (hours * HOUR, hours * HOUR))
        ledger.execute("UPDATE runs SET started = started - ?, ended = ended - ?", (hours * HOUR, hours * HOUR))
        ledger.commit()


class TestRuns:
    def test_a_run_without_alerts_sends_nothing(self, run_target: Target, receiver: Receiver) -> None:
        for _ in range(2):
            assert run_target([EMAIL, *people(range(120))], **UPSERT).code == 0
        assert receiver.messages == []

    def test_an_alert_about_a_failure_has_the_line_from_stderr(self, run_target: Target, receiver: Receiver) -> None:
        run = run_target(lines([EMAIL, *people([1])]) + b"{", **UPSERT)
        assert run.code == 8
        (message,) = receiver.messages
        assert message["title"] == LIST + "A run failed (exit code 8)"
        why = next(line for line in run.stderr.splitlines() if "is not valid JSON" in line)
        assert why.partition("Line ")[2] in message["message"]
        assert ACCOUNT in message["message"]
        assert "Alerts were sent to 1 of 1 address (json)." in run.stderr

    @pytest.mark.parametrize(
        ("settings", "code", "named"),
        [
            ({"access_token": "wrong"}, 3, 'customer list "customers"'),
            ({"customer_list_id": "1"}, 2, "customer list 1"),
            ({"rejects_path": "/dev/null/x", "customer_list_name": "VIP"}, 2, 'customer list "VIP"'),
            ({"rejects_path": "/dev/null/x"}, 2, "audience"),
        ],
    )
    @pytest.mark.parametrize("method", ["upsert", "append-only"])
    def test_each_failure_sends_an_alert_with_any_load_method(
        self, run_target: Target, receiver: Receiver, settings: dict[str, Any], code: int,
        named: str, method: str,
    ) -> None:  # fmt: skip
        assert run_target([EMAIL, *people([1])], load_method=method, **settings).code == code
        assert receiver.titles == [f"Pinterest {named}: A run failed (exit code {code})"]

    def test_an_outage_of_pinterest_sends_an_alert(
        self, emulator: Emulator, run_target: Target, receiver: Receiver
    ) -> None:
        emulator.backend.inject(Fault(status=500, times=100))
        assert run_target([EMAIL, *people([1])], max_retries=0, **UPSERT).code == 4
        assert receiver.titles == [LIST + "A run failed (exit code 4)"]

    def test_an_unusable_ledger_sends_an_alert(self, run_target: Target, receiver: Receiver) -> None:
        settings = {"ledger_url": "sqlite:////dev/null/ledger.db", "customer_list_name": "customers", **UPSERT}
        run = run_target([EMAIL, *people([1])], **settings)
        assert run.code == 7
        assert receiver.titles == [LIST + "A run failed (exit code 7)"]
        assert "so alerts may repeat" in run.stderr

    def test_rejects_above_the_limit_send_an_alert(self, run_target: Target, receiver: Receiver) -> None:
        bad = [record(id=100 + n, email="no address") for n in range(6)]
        assert run_target([EMAIL, *people(range(95)), *bad[:5]], **UPSERT).code == 0
        assert receiver.messages == []
        assert run_target([EMAIL, *people(range(94)), *bad], **UPSERT).code == 0
        (message,) = receiver.messages
        assert message["title"] == LIST + "6 % of all values were rejected"
        assert "6 of 100" in message["message"]
        assert "no address" not in message["message"]

    def test_nobody_consenting_sends_alerts_until_somebody_does(self, run_target: Target, receiver: Receiver) -> None:
        def run(consent: object) -> None:
            rows = [record(id=n, email=f"person{n}@example.com", consent=consent) for n in range(11)]
            message = schema("email", "consent")
            assert run_target([message, *rows], consent_column="consent", **UPSERT).code == 0

        for consent in (True, None, None):
            run(consent)
        (message,) = receiver.messages
        assert message["title"].startswith(LIST + "Nobody consents in stream customers")
        assert "is null in all 11 rows" in message["message"]
        run("yes")
        run("no")
        assert len(receiver.messages) == 2
        assert "holds no yes in any of 11 rows" in receiver.messages[1]["message"]

    def test_all_alerts_of_a_run_are_one_message(self, run_target: Target, receiver: Receiver) -> None:
        bad = [record(id=n, email="no address") for n in range(5)]
        assert run_target([EMAIL, *people(range(10, 15)), *bad], max_rejected_percent=10, **UPSERT).code == 5
        (message,) = receiver.messages
        assert message["title"] == LIST + "A run failed (exit code 5) (and 1 more)"
        assert "50 % of all values were rejected" in message["message"]

    def test_a_removal_ceiling_sends_an_alert(self, run_target: Target, receiver: Receiver) -> None:
        run_target([EMAIL, *people(range(60))], **UPSERT)
        assert run_target([EMAIL, *[record(id=n, email=None) for n in range(60)]], **UPSERT).code == 6
        (message,) = receiver.messages
        assert "more people would have been removed than allowed" in message["title"]
        assert "`max_removal_percent`" in message["message"]

    def test_refusals_of_most_members_send_an_alert(self, run_target: Target, receiver: Receiver) -> None:
        message, asks = schema("email", "consent"), {"consent_column": "consent", "notify_size_change_percent": 100}
        run_target([message, *(record(id=n, email=f"p{n}@x.org", consent=1) for n in range(40))], **UPSERT, **asks)
        for _ in range(2):
            answers = [record(id=n, email=f"p{n}@x.org", consent=1 if n == 30 else None) for n in range(31)]
            assert run_target([message, *answers], **UPSERT, **asks).code == 0
        (message_sent,) = receiver.messages
        assert message_sent["title"].startswith(
            'Pinterest audience: 75 % of the members left customer list "customers"'
        )
        assert "30 of the 40 members" in message_sent["message"]
        assert "Refusals have no ceiling" in message_sent["message"]

    @pytest.mark.parametrize("stream", [b"", lines([EMAIL])], ids=["nothing", "SCHEMA"])
    @pytest.mark.parametrize("method", ["upsert", "append-only"])
    def test_an_empty_run_ends_no_alert_and_is_not_a_success(
        self, run_target: Target, run_companion: Companion, receiver: Receiver, tmp_path: Path, stream: bytes,
        method: str,
    ) -> None:  # fmt: skip
        settings = {"load_method": method, "customer_list_name": "customers"}
        run_target([EMAIL, *people([1])], **settings)
        assert run_target(lines([EMAIL]) + b"{", **settings).code == 8
        let_pass(tmp_path, 22)
        assert run_target(stream, **settings).code == 0
        assert run_target(lines([EMAIL]) + b"{", **settings).code == 8
        assert receiver.titles == [LIST + "A run failed (exit code 8)"]
        let_pass(tmp_path, 10)
        receiver.messages.clear()
        for _ in range(2):
            assert run_target(stream, **settings).code == 0
        (message,) = receiver.messages
        assert message["title"] == LIST + "A run failed (exit code 8) (and 1 more)"
        assert "No run has succeeded for 32 hours" in message["message"]
        rows = json.loads(run_companion("alerts", "--dry-run", "--json", **settings).stdout)
        assert {row["kind"] for row in rows} == {"stale", "failure"}

    @pytest.mark.parametrize(
        ("method", "then", "title"),
        [
            ("upsert", range(266), 'List "customers" grew by 33 %'),
            ("upsert", range(260), None),
            ("upsert", [], None),
        ],
    )
    def test_a_list_that_grows_too_much_sends_an_alert(
        self, run_target: Target, receiver: Receiver, method: str, then: range, title: str | None
    ) -> None:
        run_target([EMAIL, *people(range(200))], load_method=method)
        run_target([EMAIL, *people(then)], load_method=method)
        assert receiver.titles == ([] if title is None else [f"Pinterest audience: {title}"])

    def test_a_list_that_shrinks_below_100_sends_alerts(self, run_target: Target, receiver: Receiver) -> None:
        run_target([EMAIL, *people(range(150))], **UPSERT)
        gone = [record(id=n, email=None) for n in range(60)]
        assert run_target([EMAIL, *gone], max_removal_percent=100, **UPSERT).code == 0
        (message,) = receiver.messages
        assert message["title"] == 'Pinterest audience: List "customers" shrank by 40 % (and 1 more)'
        assert 'List "customers" fell below 100 members' in message["message"]
        assert "It had 150 and has 90 now." in message["message"]

    def test_a_list_that_stays_too_small_sends_an_alert_after_two_days_and_then_daily(
        self, emulator: Emulator, run_target: Target, receiver: Receiver, tmp_path: Path
    ) -> None:
        stream = [EMAIL, *people(range(20))]
        run_target(stream, **UPSERT)
        wait_until(lambda: all(each.status == "TOO_SMALL" for each in emulator.backend.audiences()))
        told = []
        for hours in (1, 46, 2, 1, 20, 3, 1):
            run_target(stream, **UPSERT)
            told.append(len(receiver.messages))
            let_pass(tmp_path, hours)
        assert told == [0, 0, 0, 1, 1, 1, 2]
        assert set(receiver.titles) == {'Pinterest audience: List "customers" is too small to be targeted'}

    @pytest.mark.parametrize(("days", "told"), [(5, [LIST + "The sign-in at Pinterest expires in 5 days"]), (60, [])])
    def test_a_sign_in_that_expires_soon_sends_an_alert(
        self, run_target: Target, receiver: Receiver, days: int, told: list[str]
    ) -> None:
        with Emulator(
            access_token=TOKEN, ad_account_id=ACCOUNT, refresh_token_lifetime_seconds=days * 86_400
        ) as account:
            run = run_target([EMAIL, *people([1])], access_token=None, api_url=account.url, **OAUTH, **UPSERT)
        assert run.code == 0
        assert receiver.titles == told

    def test_a_failure_after_too_long_without_success_adds_a_stale_alert(
        self, run_target: Target, receiver: Receiver, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people([1])], **UPSERT)
        let_pass(tmp_path, 30)
        run_target(lines([EMAIL]) + b"{", **UPSERT)
        (message,) = receiver.messages
        assert "No run has succeeded for 30 hours" in message["message"]


class TestRepetition:
    @pytest.mark.parametrize("method", ["upsert", "append-only"])
    def test_the_same_failure_sends_an_alert_once_and_again_after_a_day_or_a_success(
        self, run_target: Target, receiver: Receiver, tmp_path: Path, method: str
    ) -> None:
        settings: dict[str, Any] = {"load_method": method, "notify_stale_hours": 1_000}
        broken, whole = lines([EMAIL, *people([1])]) + b"{", [EMAIL, *people([1])]
        told = []
        for stream, hours in (
            (broken, 1),
            (broken, 1),
            (broken, 22),
            (broken, 1),
            (broken, 0),
            (whole, 0),
            (broken, 0),
        ):
            run_target(stream, **settings)
            told.append(len(receiver.messages))
            let_pass(tmp_path, hours)
        assert told == [1, 1, 1, 2, 2, 2, 3]

    def test_another_failure_is_another_alert(self, run_target: Target, receiver: Receiver) -> None:
        for _ in range(2):
            run_target(lines([EMAIL, *people([1])]) + b"{", **UPSERT)
            run_target([EMAIL, *people([1])], access_token="wrong", **UPSERT)
        assert [title[-2] for title in receiver.titles] == ["8", "3"]

    def test_the_success_of_other_settings_ends_nothing(self, run_target: Target, receiver: Receiver) -> None:
        for _ in range(2):
            run_target(lines([EMAIL, *people([1])]) + b"{", **UPSERT)
            run_target([EMAIL, *people([1])], customer_list_name="other", source_name="o", **UPSERT)
        assert len(receiver.messages) == 1

    def test_an_undelivered_alert_is_sent_by_the_next_run_that_finds_it(
        self, run_target: Target, receiver: Receiver
    ) -> None:
        receiver.status = 500
        broken = lines([EMAIL, *people([1])]) + b"{"
        assert run_target(broken, **UPSERT).code == 8
        receiver.status = 200
        for _ in range(2):
            assert run_target(broken, **UPSERT).code == 8
        assert len(receiver.messages) == 2


class TestBadReceivers:
    def test_a_receiver_that_answers_500_changes_no_exit_code(self, run_target: Target, receiver: Receiver) -> None:
        receiver.status = 500
        bad = [record(id=n, email="no address") for n in range(5)]
        run = run_target([EMAIL, *people(range(10, 15)), *bad], **UPSERT)
        assert (run.code, len(receiver.messages)) == (0, 1)
        assert "could not be sent to address 1 of `notify_urls` (json)" in run.stderr

    def test_a_receiver_that_is_down_changes_no_exit_code_and_delays_no_other(
        self, run_target: Target, receiver: Receiver, config: dict[str, Any]
    ) -> None:
        urls = ["xml://127.0.0.1:9/", *config["notify_urls"]]
        run = run_target(lines([EMAIL]) + b"{", notify_urls=urls, **UPSERT)
        assert (run.code, len(receiver.messages)) == (8, 1)
        assert "could not be sent to address 1 of `notify_urls` (xml)" in run.stderr
        assert "Alerts were sent to 1 of 2 addresses (json)." in run.stderr

    def test_a_receiver_that_hangs_costs_at_most_five_seconds(self, run_target: Target, receiver: Receiver) -> None:
        begun = time.monotonic()
        assert run_target([EMAIL, *people([1])], **UPSERT).code == 0
        usual = time.monotonic() - begun
        receiver.hangs = True
        begun = time.monotonic()
        run = run_target(lines([EMAIL]) + b"{", **UPSERT)
        assert (run.code, len(receiver.messages)) == (8, 1)
        assert 4.5 < time.monotonic() - begun < usual + 9
        assert "did not answer in time" in run.stderr

    def test_a_run_that_a_signal_stops_sends_no_alert(
        self, config: dict[str, Any], receiver: Receiver, tmp_path: Path
    ) -> None:
        with running({**config, **UPSERT}, tmp_path, batch_size_rows=5) as process:
            feed(process, [EMAIL, *[record(id=n, email="no address") for n in range(50)]])
            time.sleep(3)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)
        assert (process.returncode, receiver.messages) == (143, [])

    def test_a_signal_ends_the_wait_for_a_receiver_that_hangs(
        self, config: dict[str, Any], receiver: Receiver, tmp_path: Path
    ) -> None:
        receiver.hangs = True
        with running({**config, **UPSERT}, tmp_path) as process:
            feed(process, [EMAIL])
            assert process.stdin is not None
            process.stdin.write(b"{\n")
            process.stdin.flush()
            wait_until(lambda: receiver.messages)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)
        assert time.monotonic() - begun < 3
        assert process.returncode == 143


class TestSecrets:
    @pytest.mark.parametrize("hangs", [False, True])
    def test_no_part_of_an_address_is_in_a_log(self, run_target: Target, receiver: Receiver, *, hangs: bool) -> None:
        receiver.hangs = hangs
        run = run_target(lines([EMAIL, *people([1])]) + b"{", log_level="DEBUG", **UPSERT)
        assert len(receiver.messages) == 1
        for secret in (*SECRET_PATH.split("/")[:1], SECRET_PASSWORD, receiver.host):
            assert secret not in run.stderr

    def test_no_address_is_logged_if_the_receiver_is_down_or_its_certificate_is_bad(
        self, run_target: Target, receiver: Receiver
    ) -> None:
        urls = [f"jsons://{receiver.host}/{SECRET_PATH}?verify=no", f"json://127.0.0.1:9/{SECRET_PATH}"]
        run = run_target(lines([EMAIL]) + b"{", log_level="DEBUG", notify_urls=urls, **UPSERT)
        assert "Traceback" not in run.stderr
        for secret in (SECRET_PATH.partition("/")[0], receiver.host, "127.0.0.1:9"):
            assert secret not in run.stderr

    def test_no_identity_and_no_token_is_in_a_message(self, run_target: Target, receiver: Receiver) -> None:
        bad = [record(id=n, email=f"bad person{n}@example.com x") for n in range(9)]
        run_target(lines([EMAIL, *bad, *people([10])]) + b'{"person11@example.com', **UPSERT)
        (message,) = receiver.messages
        assert "person" not in json.dumps(message)
        assert TOKEN not in json.dumps(message)

    @pytest.mark.parametrize("url", ["nonsense://T0PS3CR3TT0KEN/x", "T0PS3CR3TT0KEN", " "])
    def test_an_invalid_address_is_refused_before_anything_is_read(self, run_target: Target, url: str) -> None:
        run = run_target([EMAIL, *people([1])], notify_urls=["json://127.0.0.1:9", url], log_level="DEBUG", **UPSERT)
        assert run.code == 2
        assert "Apprise does not support address 2 of `notify_urls`" in run.stderr
        assert "T0PS3CR3TT0KEN" not in run.stderr


@pytest.mark.parametrize(("is_set", "code"), [(True, 2), (False, 0)])
def test_without_the_extra_a_run_with_the_setting_ends_at_once(
    config: dict[str, Any], tmp_path: Path, *, is_set: bool, code: int
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config if is_set else {**config, "notify_urls": None}), encoding="utf-8")
    program = (
        "import sys; sys.modules['apprise'] = None; from target_pinterest_audience.main import main; "
        f"sys.argv[1:] = ['--config', {str(path)!r}]; main()"
    )
    stream = lines([EMAIL, *people([1])])
    done = subprocess.run(
        [sys.executable, "-c", program], input=stream, capture_output=True, check=False, timeout=60, env=environment()
    )
    assert done.returncode == code
    assert (b"with the extra `notify`" in done.stderr) == is_set


class TestPrune:
    def test_a_ceiling_of_prune_sends_one_alert_while_runs_succeed(
        self, run_target: Target, run_prune: Prune, receiver: Receiver
    ) -> None:
        run_target([EMAIL, *people(range(60))], **OVERWRITE)
        for _ in range(2):
            run_target([EMAIL, *people(range(40))], **OVERWRITE)
            assert run_prune(**OVERWRITE).code == 6
        (message,) = receiver.messages
        assert "`pinterest-audience prune` was stopped" in message["title"]
        assert "--allow-removal-percent" in message["message"]

    def test_a_failed_prune_sends_an_alert(self, run_prune: Prune, receiver: Receiver) -> None:
        assert run_prune(**OVERWRITE, customer_list_name="customers").code == 2
        (message,) = receiver.messages
        assert message["title"] == LIST + "`pinterest-audience prune` failed (exit code 2)"
        assert "there is no ledger" in message["message"]

    def test_a_list_that_prune_shrinks_below_100_sends_an_alert(
        self, run_target: Target, run_prune: Prune, receiver: Receiver
    ) -> None:
        run_target([EMAIL, *people(range(150))], **OVERWRITE)
        run_target([EMAIL, *people(range(90))], **OVERWRITE)
        pruned = run_prune("--allow-removal-percent", "50", **OVERWRITE)
        assert pruned.code == 0
        assert [title.rpartition(" (")[0] for title in receiver.titles] == [
            'Pinterest audience: List "customers" shrank by 40 %'
        ]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupted_prune_is_not_a_success(
        self,
        run_target: Target,
        run_prune: Prune,
        run_companion: Companion,
        receiver: Receiver,
        config: dict[str, Any],
        tmp_path: Path,
        number: signal.Signals,
    ) -> None:
        run_target([EMAIL, *people(range(60))], **OVERWRITE)
        run_target([EMAIL, *people(range(40))], **OVERWRITE)
        assert run_prune(**OVERWRITE).code == 6
        assert len(receiver.messages) == 1
        path = config["ledger_url"].removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            argv = companion_command({**config, **OVERWRITE}, tmp_path, "prune")
            with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as prune:
                time.sleep(3)
                prune.send_signal(number)
                _, stderr = prune.communicate(timeout=20)
            other.execute("ROLLBACK")
        assert prune.returncode == 128 + number, stderr
        assert b"Stopped by a signal" in stderr
        (standing,) = json.loads(run_companion("alerts", "--json", "--dry-run", **OVERWRITE).stdout)
        assert standing["kind"] == "removal_ceiling"

    def test_a_dry_prune_sends_nothing(self, run_prune: Prune, receiver: Receiver) -> None:
        assert run_prune(dry_run=True, **OVERWRITE).code == 2
        assert receiver.messages == []


class TestCommand:
    def test_the_command_sends_nothing_while_runs_succeed(
        self, run_target: Target, run_companion: Companion, receiver: Receiver
    ) -> None:
        run_target([EMAIL, *people([1])], **UPSERT)
        called = run_companion("alerts", **UPSERT)
        assert (called.code, called.stdout, receiver.messages) == (0, "There are no alerts.\n", [])

    @pytest.mark.parametrize("method", ["upsert", "append-only"])
    def test_too_long_without_a_success_sends_an_alert_once_a_day_until_there_is_one(
        self, run_target: Target, run_companion: Companion, receiver: Receiver, tmp_path: Path, method: str
    ) -> None:
        settings = {"load_method": method, "customer_list_name": "customers"}
        told = []
        run_target([EMAIL, *people([1])], **settings)
        for hours in (25, 2, 1, 21, 2):
            let_pass(tmp_path, hours)
            assert run_companion("alerts", **settings).code == 0
            told.append(len(receiver.messages))
        assert told == [0, 1, 1, 1, 2]
        assert receiver.titles[-1] == LIST + "No run has succeeded for 51 hours"
        run_target([EMAIL, *people([1])], **settings)
        assert run_companion("alerts", **settings).stdout == "There are no alerts.\n"

    def test_a_success_recorded_by_a_fast_clock_does_not_silence_the_alert(
        self, run_target: Target, run_companion: Companion, receiver: Receiver, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people([1])], **UPSERT)
        let_pass(tmp_path, 30)
        run_target([EMAIL, *people([1])], **UPSERT)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
            ledger.execute("UPDATE runs SET ended = ended + ? WHERE run = 2", (2 * 365 * 24 * HOUR,))
        assert run_companion("alerts", **UPSERT).code == 0
        run_target(lines([EMAIL]) + b"{", **UPSERT)
        assert receiver.titles == [
            LIST + "No run has succeeded for 30 hours",
            LIST + "A run failed (exit code 8)",
        ]

    def test_without_a_ledger_a_dry_run_names_its_place(self, run_companion: Companion, tmp_path: Path) -> None:
        refused = run_companion("alerts", "--dry-run", **UPSERT)
        assert (refused.code, f"no ledger at {tmp_path}/ledger.db" in refused.stderr) == (2, True)

    def test_an_alert_says_that_no_run_has_ever_succeeded(self, run_companion: Companion, receiver: Receiver) -> None:
        for _ in range(2):
            assert run_companion("alerts", **UPSERT).code == 0
        assert receiver.titles == ["Pinterest audience: No run has succeeded yet"]

    def test_the_command_sends_what_a_run_could_not(
        self, run_target: Target, run_companion: Companion, receiver: Receiver
    ) -> None:
        run_target([EMAIL, *people([1])], **UPSERT)
        receiver.status = 500
        run_target(lines([EMAIL]) + b"{", **UPSERT)
        failed = run_companion("alerts", **UPSERT)
        assert failed.code == 1
        assert "none could be delivered" in failed.stderr
        receiver.status = 200
        receiver.messages.clear()
        for _ in range(2):
            assert run_companion("alerts", **UPSERT).code == 0
        assert receiver.titles == [LIST + "A run failed (exit code 8)"]

    def test_a_dry_run_shows_and_sends_nothing(
        self, run_target: Target, run_companion: Companion, receiver: Receiver, tmp_path: Path
    ) -> None:
        run_target([EMAIL, *people([1])], **UPSERT)
        let_pass(tmp_path, 30)
        for _ in range(2):
            shown = run_companion("alerts", "--dry-run", "--json", **UPSERT)
            (row,) = json.loads(shown.stdout)
            assert (row["kind"], row["state"], row["sent"]) == ("stale", "due", None)
        assert receiver.messages == []

    def test_a_dry_run_of_the_target_sends_nothing(self, run_target: Target, receiver: Receiver) -> None:
        assert run_target(lines([EMAIL]) + b"{", dry_run=True, **UPSERT).code == 8
        assert receiver.messages == []

    def test_a_test_message_goes_to_each_address(
        self, run_companion: Companion, receiver: Receiver, config: dict[str, Any]
    ) -> None:
        good = run_companion("alerts", "--test", "--json")
        assert good.code == 0
        (row,) = json.loads(good.stdout)
        assert (row["number"], row["scheme"], row["taken"]) == (1, "json", True)
        assert receiver.titles == ["Pinterest audience: a test"]
        urls = [*config["notify_urls"], f"form://127.0.0.1:9/{SECRET_PATH}"]
        bad = run_companion("alerts", "--test", notify_urls=urls)
        assert bad.code == 1
        assert [line.split()[1:3] for line in bad.stdout.splitlines()[1:]] == [["json", "yes"], ["form", "no"]]
        assert "Warning" not in bad.stderr
        assert SECRET_PATH.partition("/")[0] not in bad.stdout + bad.stderr
        assert receiver.host not in bad.stdout + bad.stderr

    def test_without_an_address_the_error_names_the_setting(self, run_companion: Companion) -> None:
        called = run_companion("alerts", notify_urls=None)
        assert called.code == 2
        assert "Set `notify_urls`" in called.stderr
