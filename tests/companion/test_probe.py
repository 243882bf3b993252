"""The probe: each answer that Pinterest could give to each question, and what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.companion.probe import invented
from target_pinterest_audience.companion.probe.findings import QUESTIONS, Sure
from target_pinterest_audience.companion.probe.own_list import LIST_NAME
from target_pinterest_audience.companion.probe.probe import Choices, Probe
from target_pinterest_audience.companion.probe.report import as_report
from target_pinterest_audience.companion.probe.shapes import limit_shape, shape_of
from target_pinterest_audience.companion.probe.sign_in_questions import StoredSignIn
from target_pinterest_audience.companion.probe.size_questions import Steps
from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import ConfigurationError, TargetError
from target_pinterest_audience.pinterest.errors import NotPermittedError, RateLimitedError, UnavailableError
from target_pinterest_audience.pinterest.signed_requests import SignedRequests
from target_pinterest_audience.pinterest.token_store import CredentialsFile, NoTokenStore
from target_pinterest_audience.pinterest.tokens import SignIn
from tests.support.account import ACCOUNT, TOKEN
from tests.support.client import OAUTH, credentials, transport
from tests.support.contract import assert_contract
from tests.support.processes import Companion
from tests.support.waiting import Clock

SMALL = Steps(records=(20, 40, 60), rows=(10, 30), smaller=5)
LISTS = r"/customer_lists$"
ONE_LIST = r"/customer_lists/\d+$"
UPLOAD = "customer_list_uploads/create"


class Scene:
    """An emulator with a clock of its own, and a probe of it."""

    def __init__(self, folder: Path, emulator: Emulator, clock: Clock) -> None:
        self.folder = folder
        self.emulator = emulator
        self.clock = clock
        self.store = CredentialsFile(folder / "credentials.json")

    @property
    def sign_in(self) -> SignIn:
        found = SignIn.of(OAUTH["client_id"], OAUTH["client_secret"], OAUTH["refresh_token"])
        assert found is not None
        return found

    def probe(self, *, signs_in: bool = True, store: Any = None, **choices: Any) -> Probe:
        sends = transport(self.emulator)
        shield: Callable[[], AbstractContextManager[None]] = nullcontext
        stored = StoredSignIn(sends, store or self.store, self.sign_in, shield) if signs_in else None
        requests = SignedRequests(sends, credentials(self.emulator, self.folder))
        return Probe(
            requests,
            f"/ad_accounts/{ACCOUNT}",
            stored,
            Choices(steps=SMALL, **choices),
            clock=self.clock,
            sleep=self._sleep,
        )

    def ask(self, **choices: Any) -> Probe:
        probe = self.probe(**choices)
        probe.ask()
        return probe

    def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds


@contextmanager
def scene(folder: Path, **settings: Any) -> Iterator[Scene]:
    clock = Clock()
    clock.now = 1_790_000_000.0
    options = {"uploads": "open", "access_token": TOKEN, "ad_account_id": ACCOUNT, **settings}
    with Emulator(clock=clock, **options) as emulator:
        yield Scene(folder, emulator, clock)
        # The upload of no parts breaks a rule on purpose.
        assert_contract(each for each in emulator.backend.calls if each.operation != UPLOAD)


def answers(probe: Probe, key: str) -> tuple[Sure, str]:
    (found,) = [each for each in probe.findings.all() if each.key == key]
    return found.sure, found.answer


ANSWERS: list[tuple[str, str, dict[str, Any], list[Fault], Sure, str]] = [
    ("list_without_type", "rows_without_list_type", {}, [], Sure.SEEN, "Yes (HTTP 200)"),
    ("created_with_201", "rows_without_list_type", {"creation_status": 201}, [], Sure.SEEN, "Yes (HTTP 201)"),
    ("type_not_asked", "rows_with_list_type", {}, [], Sure.NOT_ASKED, "A second list would stay"),
    (
        "no_list_without_type", "rows_without_list_type", {},
        [Fault(method="POST", path=LISTS, field="records_v2")], Sure.SEEN, "No (HTTP 400",
    ),
    (
        "list_with_type", "rows_with_list_type", {},
        [Fault(method="POST", path=LISTS, field="records_v2")], Sure.SEEN, "Yes (HTTP 200)",
    ),
    (
        "no_list_with_type", "rows_with_list_type", {},
        [Fault(method="POST", path=LISTS, field="records_v2", times=2)], Sure.SEEN, "No (HTTP 400",
    ),
    (
        "lost_creation", "rows_without_list_type", {},
        [Fault(method="POST", path=LISTS, status=504, when="after")], Sure.INFERRED, "The list exists",
    ),
    (
        "refused_creation_that_happened", "rows_without_list_type", {},
        [Fault(method="POST", path=LISTS, status=400, when="after")], Sure.INFERRED, "The list exists",
    ),
    ("two_fields", "row_of_two_fields", {}, [], Sure.SEEN, "Yes (HTTP 200)"),
    (
        "no_two_fields", "row_of_two_fields", {},
        [Fault(method="PATCH", record_pattern="^email:.*&hashed_phone")], Sure.SEEN, "No (HTTP 400",
    ),
    (
        "no_half_of_no_row", "removal_of_one_field", {},
        [Fault(method="PATCH", record_pattern="^email:.*&hashed_phone")], Sure.NOT_ASKED, "does not accept",
    ),
    ("half_unseen", "removal_of_one_field", {}, [], Sure.UNDECIDED, "the counter counts absent records too"),
    ("half_kept", "removal_of_one_field", {"counters": "changed"}, [], Sure.INFERRED, "Nothing"),
    (
        "half_shortened", "removal_of_one_field", {"counters": "changed", "half_rows": "shortened"}, [],
        Sure.INFERRED, "the rest of the row stays",
    ),
    (
        "half_removed", "removal_of_one_field", {"counters": "changed", "half_rows": "removed"}, [],
        Sure.INFERRED, "the whole row",
    ),
    (
        "half_refused", "removal_of_one_field", {}, [Fault(method="PATCH", record_pattern="^email:[^&]*$")],
        Sure.SEEN, "refuses it (HTTP 400",
    ),
    ("case_unseen", "device_id_case", {}, [], Sure.UNDECIDED, "Both cases are accepted"),
    ("case_matters", "device_id_case", {"counters": "changed"}, [], Sure.INFERRED, "Yes"),
    (
        "case_ignored", "device_id_case", {"counters": "changed", "ignore_device_id_case": True}, [],
        Sure.INFERRED, "No",
    ),
    (
        "lower_case_refused", "device_id_case", {}, [Fault(method="PATCH", record_pattern="^affeaffe-", times=None)],
        Sure.SEEN, "lower case is refused",
    ),
    (
        "device_ids_refused", "device_id_case", {},
        [Fault(method="PATCH", record_pattern="(?i)^affeaffe-", times=None)],
        Sure.UNDECIDED, "Plain device ids are refused",
    ),
    ("refused_instead", "exceptions", {}, [], Sure.SEEN, "HTTP 400, code 400 without exceptions"),
    (
        "exceptions", "exceptions", {},
        [
            Fault(
                method="PATCH", record_pattern="^not-an-identity$", status=200,
                body={"id": "1", "exceptions": {"code": 2, "message": "not-an-identity in list 1795946004320"}},
            )
        ],
        Sure.SEEN, "HTTP 200 with exceptions",
    ),
    (
        "nothing_reported", "exceptions", {},
        [Fault(method="PATCH", record_pattern="not-a-digest", status=200, body={"id": "1", "exceptions": {}})],
        Sure.SEEN, "reports nothing",
    ),
    ("reset_in_seconds", "reset_unit", {}, [], Sure.SEEN, "Seconds until the reset"),
    (
        "reset_in_milliseconds", "reset_unit", {"rate_limit_reset": "milliseconds"}, [],
        Sure.SEEN, "Milliseconds until the reset",
    ),
    ("reset_epoch", "reset_unit", {"rate_limit_reset": "epoch"}, [], Sure.SEEN, "Seconds since 1970"),
    ("reset_window", "reset_unit", {"rate_limit_reset": "window"}, [], Sure.INFERRED, "the length of a window"),
    ("reset_absent", "reset_unit", {"rate_limit_reset": "absent"}, [], Sure.SEEN, "no such header"),
    (
        "reset_is_a_date", "reset_unit", {},
        [
            Fault(
                method="GET", path=ONE_LIST, status=200, when="after",
                headers={"x-ratelimit-reset": "Sat, 28 Nov 2026 12:00:00 GMT"},
            )
        ],
        Sure.SEEN, "not a number",
    ),
    (
        "reset_at_random", "reset_unit", {},
        [
            Fault(method="GET", path=ONE_LIST, status=200, when="after", headers={"x-ratelimit-reset": each})
            for each in ("7", "31", "44")
        ],
        Sure.UNDECIDED, "do not match the time",
    ),
    ("no_size_limit", "records_size", {}, [], Sure.SEEN, "60 or more"),
    (
        "size_limit", "records_size", {}, [Fault(more_records_than=40, status=413, times=None)],
        Sure.SEEN, "40 are accepted, 60 are refused (HTTP 413",
    ),
    (
        "low_size_limit", "records_size", {}, [Fault(more_records_than=10, times=None)],
        Sure.SEEN, "5 are accepted, 20 are refused (HTTP 400",
    ),
    (
        "lower_size_limit", "records_size", {}, [Fault(more_records_than=3, times=None)],
        Sure.SEEN, "5 are refused, 20 are refused",
    ),
    (
        "gateway_limit", "records_size", {}, [Fault(more_records_than=40, status=502, times=None)],
        Sure.INFERRED, "40 are accepted. 60 got HTTP 502",
    ),
    (
        "cut_off", "records_size", {},
        [Fault(more_records_than=40, status=200, body={"id": "1", "num_uploaded_user_records": 114})],
        Sure.INFERRED, "the counter grew by",
    ),
    ("no_row_limit", "rows_size", {}, [], Sure.SEEN, "30 or more"),
    (
        "row_limit", "rows_size", {}, [Fault(field="records_v2", more_records_than=10, times=None)],
        Sure.SEEN, "10 are accepted, 30 are refused",
    ),
    ("nobody_shares", "ownership_type", {}, [], Sure.UNDECIDED, "Nobody shares"),
    ("audience_accepted", "audience_while_processing", {}, [], Sure.SEEN, "Yes (HTTP 200)"),
    (
        "audience_refused", "audience_while_processing", {"audience_minimum": 1000}, [],
        Sure.INFERRED, "No (HTTP 400",
    ),
    (
        "not_processing", "audience_while_processing", {"processing_seconds": 0}, [],
        Sure.UNDECIDED, "The list was READY already; the audience is accepted",
    ),
    (
        "not_processing_and_refused", "audience_while_processing",
        {"processing_seconds": 0, "audience_minimum": 1000}, [], Sure.UNDECIDED, "the audience is refused",
    ),
    (
        "lost_audience", "audience_while_processing", {},
        [Fault(method="POST", path="/audiences$", status=504, when="after")], Sure.SEEN, "Yes (a lost answer)",
    ),
    ("uploads_open", "uploads", {}, [], Sure.INFERRED, "Yes: a request that breaks a rule"),
    ("uploads_restricted", "uploads", {"uploads": "restricted"}, [], Sure.SEEN, "No: it is restricted"),
    ("uploads_absent", "uploads", {"uploads": "absent"}, [], Sure.INFERRED, "No: it is not found"),
    (
        "uploads_of_no_parts", "uploads", {}, [Fault(path="/uploads$", status=200, body={})],
        Sure.SEEN, "Yes (HTTP 200)",
    ),
    ("uploads_no_method", "uploads", {}, [Fault(path="/uploads$", status=405)], Sure.INFERRED, "No (HTTP 405"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "settings", "faults", "sure", "words"), [each[1:] for each in ANSWERS], ids=[each[0] for each in ANSWERS]
)
def test_each_answer_is_understood(
    tmp_path: Path, key: str, settings: dict[str, Any], faults: list[Fault], sure: Sure, words: str
) -> None:
    with scene(tmp_path, **settings) as here:
        for fault in faults:
            here.emulator.backend.inject(fault)
        probe = here.ask()
        found = answers(probe, key)
        assert (found[0], words in found[1]) == (sure, True), found
        assert [each.name for each in here.emulator.backend.customer_lists()] == [LIST_NAME]
        assert len(here.emulator.backend.audiences()) <= 1
        here.emulator.backend.clear_faults()


def test_every_question_has_more_than_one_tested_answer() -> None:
    asked_elsewhere = {"refresh_rotation", "old_refresh_token"}
    tested = {key: {each[4:] for each in ANSWERS if each[1] == key} for key in QUESTIONS.keys() - asked_elsewhere}
    tested["ownership_type"].add((Sure.SEEN, "in the tests below"))
    assert {key for key, found in tested.items() if len(found) < 2} == set()


@pytest.mark.parametrize(("lists_received", "words"), [(True, "that others share"), (False, "Only audiences that")])
def test_the_default_of_the_audience_listing_is_seen(tmp_path: Path, words: str, *, lists_received: bool) -> None:
    with scene(tmp_path, list_received_audiences=lists_received) as here:
        rule = {"visitor_source_id": "1", "retention_days": 30}
        here.emulator.backend.place_audience("shared", "VISITOR", rule, received=True)
        sure, answer = answers(here.ask(), "ownership_type")
        assert (sure, words in answer) == (Sure.SEEN, True), answer


def test_the_list_type_can_be_asked_first(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        probe = here.ask(with_type_first=True)
        assert answers(probe, "rows_with_list_type")[0] is Sure.SEEN
        assert answers(probe, "rows_without_list_type")[0] is Sure.NOT_ASKED
        assert here.emulator.backend.customer_lists()[0].list_type == "EMAIL"


def test_a_second_probe_uses_the_list_and_the_audience_of_the_first(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        here.ask()
        probe = here.ask()
        assert len(here.emulator.backend.customer_lists()) == len(here.emulator.backend.audiences()) == 1
        assert answers(probe, "rows_without_list_type")[0] is Sure.NOT_ASKED
        assert answers(probe, "audience_while_processing")[0] is Sure.NOT_ASKED
        assert probe.audience.was_there
        assert answers(probe, "records_size")[0] is Sure.SEEN


def test_nothing_is_left_on_the_list_and_other_lists_are_not_touched(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        others = [here.emulator.backend.create_list(name, ["a" * 64]) for name in ("customers", f"{LIST_NAME} 2")]
        made = here.emulator.backend.create_audience("customers", others[0].id)
        probe = here.ask()
        probe.audience.delete()
        (own,) = [each for each in here.emulator.backend.customer_lists() if each.name == LIST_NAME]
        assert (probe.is_emptied, own.members) == (True, frozenset())
        assert {each.list_id for each in here.emulator.backend.writes()} == {own.id}
        assert [each.id for each in here.emulator.backend.audiences()] == [made.id]
        kept = {each.id: each.members for each in here.emulator.backend.customer_lists() if each.id != own.id}
        assert kept == {each.id: each.members for each in others}
        writes = [each for each in here.emulator.backend.calls if each.method in {"POST", "PATCH"}]
        assert len(writes) == probe.own.writes <= 20


def test_identities_that_stay_after_a_refused_removal_are_told(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        here.emulator.backend.inject(Fault(method="PATCH", path=ONE_LIST, more_records_than=30, skip=2, status=400))
        assert here.ask().is_emptied is False


def test_two_lists_of_the_name_are_left_alone(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        for _ in range(2):
            here.emulator.backend.create_list(LIST_NAME)
        with pytest.raises(ConfigurationError, match="2 customer lists named"):
            here.ask()
        assert here.emulator.backend.writes() == []


def test_a_list_that_cannot_be_created_ends_the_probe(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        here.emulator.backend.inject(Fault(method="POST", path=LISTS, status=400, times=None))
        probe = here.probe()
        with pytest.raises(TargetError, match="nothing else can be asked") as ended:
            probe.ask()
        assert ended.value.exit_code == 5
        assert answers(probe, "rows_with_list_type")[1].startswith("No (HTTP 400")
        assert answers(probe, "uploads")[0] is Sure.NOT_ASKED


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [(LISTS, 403, NotPermittedError), (ONE_LIST, 403, NotPermittedError), ("/audiences$", 403, NotPermittedError),
     ("/uploads$", 403, NotPermittedError), (ONE_LIST, 503, UnavailableError), (ONE_LIST, 429, RateLimitedError)],
)  # fmt: skip
def test_it_stops_at_the_first_failure_that_is_no_answer(
    tmp_path: Path, path: str, status: int, kind: type[Exception]
) -> None:
    body = {"code": 29, "message": "You are not permitted to access that resource."}
    headers = {"Retry-After": "9999"} if status == 429 else {}
    with scene(tmp_path) as here:
        here.emulator.backend.inject(Fault(path=path, status=status, body=body, headers=headers, times=None))
        probe = here.probe()
        with pytest.raises(kind):
            probe.ask()
        first = next(number for number, each in enumerate(here.emulator.backend.calls) if each.status == status)
        later = here.emulator.backend.calls[first:]
        assert {(each.method, each.path, each.status) for each in later} == {(later[0].method, later[0].path, status)}


def test_a_new_list_that_is_not_found_yet_is_waited_for(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        here.emulator.backend.inject(Fault(method="GET", path=ONE_LIST, status=404, times=2))
        before = here.clock.now
        here.ask()
        assert here.clock.now - before >= 20


def test_a_request_that_was_sent_twice_does_not_count(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        lost = Fault(method="PATCH", path=ONE_LIST, record_pattern="^email:.*&", status=504, when="after")
        here.emulator.backend.inject(lost)
        assert answers(here.ask(), "row_of_two_fields") == (Sure.SEEN, "Yes (HTTP 200).")


def rotated(here: Scene, **choices: Any) -> Probe:
    probe = here.probe(**choices)
    probe.ask_sign_in()
    return probe


def test_a_rotated_refresh_token_is_stored(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        probe = rotated(here)
        assert answers(probe, "refresh_rotation") == (Sure.SEEN, "Yes.")
        assert answers(probe, "old_refresh_token")[0] is Sure.NOT_ASKED
        newest = here.store.newest(here.sign_in.origin)
        assert newest is not None
        assert newest != OAUTH["refresh_token"]
        # The stored one works: the next probe uses it.
        assert answers(rotated(here), "refresh_rotation") == (Sure.SEEN, "Yes.")
        assert len(here.emulator.backend.calls) == 2


@pytest.mark.parametrize("body", [None, {"access_token": "pina_1", "expires_in": 2592000}])
def test_a_refresh_token_that_stays_is_seen(tmp_path: Path, body: dict[str, Any] | None) -> None:
    with scene(tmp_path, renew_refresh_token=False) as here:
        if body is not None:
            here.emulator.backend.inject(Fault(path="oauth/token", status=200, body=body))
        probe = rotated(here, reuse=True)
        words = "the same one" if body is None else "the response has none"
        assert (answers(probe, "refresh_rotation")[0], words in answers(probe, "refresh_rotation")[1]) == (
            Sure.SEEN,
            True,
        )
        assert answers(probe, "old_refresh_token")[0] is Sure.NOT_ASKED
        assert here.store.newest(here.sign_in.origin) is None


def test_an_old_refresh_token_that_works_is_seen(tmp_path: Path) -> None:
    with scene(tmp_path, revoke_old_refresh_token=False) as here:
        assert answers(rotated(here, reuse=True), "old_refresh_token") == (Sure.SEEN, "Yes.")
        assert answers(rotated(here), "refresh_rotation")[0] is Sure.SEEN


def test_an_old_refresh_token_that_is_revoked_is_seen(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        sure, answer = answers(rotated(here, reuse=True), "old_refresh_token")
        assert (sure, "The new one still works" in answer) == (Sure.SEEN, True), answer
        assert answers(rotated(here), "refresh_rotation")[0] is Sure.SEEN


def test_a_sign_in_that_the_old_token_ended_is_told(tmp_path: Path) -> None:
    with scene(tmp_path, revoke_all_on_reuse=True) as here:
        probe = here.probe(reuse=True)
        with pytest.raises(NotPermittedError, match="pinterest-audience login"):
            probe.ask_sign_in()
        assert "has ended the sign-in" in answers(probe, "old_refresh_token")[1]


def test_without_a_refresh_token_or_a_place_for_it_nothing_is_exchanged(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        for probe in (rotated(here, signs_in=False), rotated(here, store=NoTokenStore())):
            assert answers(probe, "refresh_rotation")[0] is Sure.NOT_ASKED
        assert here.emulator.backend.calls == []


def test_the_identities_cannot_be_anybodys() -> None:
    version, variant = invented.DEVICE_ID.split("-")[2][0], invented.DEVICE_ID.split("-")[3][0]
    assert (version, variant) == ("F", "F")
    digests = [invented.email("x"), invented.phone(1), *invented.emails(range(3)).split(",")]
    assert len(set(digests)) == len(digests)
    assert {len(each) for each in digests} == {64}
    assert invented.emails(range(3)) == invented.emails(range(3))


def test_shapes_hold_no_values() -> None:
    secret = {"code": 2, "id": 1795946004320, "list": ["a@b.de"], "4189742": {"message": "x"}, "yes": True, "no": None}
    shown = {"code": 2, "id": "number", "list": ["text"], "<key>": {"message": "text"}, "yes": True, "no": None}
    assert shape_of(secret) == shown
    assert limit_shape('100, 100;w=1;name="ads_write_app_id_user_id"') == '100, 100;w=1;name="ads_write_app_id_user_id"'
    assert limit_shape("100, somebody") == "100, <another form>"
    assert limit_shape(None) is None


@pytest.mark.parametrize("stop", [False, True])
def test_the_report_has_no_ids_names_tokens_or_identities(tmp_path: Path, *, stop: bool) -> None:
    with scene(tmp_path) as here:
        body = {"id": "1", "exceptions": {"1795946004320": "somebody@example.com", "message": "account 549755885175"}}
        here.emulator.backend.inject(Fault(record_pattern="not-an-identity", status=200, body=body))
        probe = here.probe()
        ended = None
        try:
            probe.ask()
            probe.ask_sign_in()
            if stop:
                here.emulator.backend.inject(Fault(path="/customer_lists$", status=403))
                probe.ask()
        except NotPermittedError as error:
            ended = error
        report = json.dumps(as_report(probe, "1.2.3", "2026-11-28", here.emulator.url, ended))
        (own,) = here.emulator.backend.customer_lists()
        hidden = [own.id, ACCOUNT, TOKEN, probe.audience.id, here.store.newest(here.sign_in.origin), LIST_NAME,
                  "Emulated ad account", invented.email(1), invented.DEVICE_ID, "1795946004320", "somebody",
                  *OAUTH.values(), here.emulator.url]  # fmt: skip
        assert [each for each in hidden if not each or each in report] == []
        shown = json.loads(report)
        assert [each["key"] for each in shown["findings"]] == list(QUESTIONS)
        assert (shown["asked"], shown["complete"], shown["stopped_by"] is None) == (
            "another server",
            not stop,
            not stop,
        )


def test_the_report_tells_pinterest_from_others(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        shown = as_report(here.probe(), "1", "2026-11-28", "https://api.pinterest.com/v5", None)
        assert shown["asked"] == "Pinterest"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Unlike the usual one, it is not held against the contract: the probe breaks a rule on purpose."""
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT, uploads="open") as server:
        yield server


def test_the_command_asks_first_and_leaves_one_empty_list(
    emulator: Emulator, run_companion: Companion, tmp_path: Path
) -> None:
    path = tmp_path / "answers.json"
    refused = run_companion("probe", "--report", str(path))
    assert (refused.code, "pass --yes" in refused.stderr, "CANNOT BE DELETED" in refused.stdout) == (2, True, True)
    tried = run_companion("probe", "--report", str(path), "--dry-run")
    assert (tried.code, "nothing was sent" in tried.stdout, path.exists()) == (0, True, False)
    assert emulator.backend.calls == []
    done = run_companion("probe", "--report", str(path), "--yes")
    assert done.code == 0, done.stderr
    assert "Deleted the audience" in done.stdout
    assert "100,000 or more" in done.stdout
    (own,) = emulator.backend.customer_lists()
    assert (own.name, own.members, emulator.backend.audiences()) == (LIST_NAME, frozenset(), [])
    report = json.loads(path.read_text())
    assert (report["complete"], report["list_was_emptied"], len(report["findings"])) == (True, True, len(QUESTIONS))


@pytest.mark.slow
def test_the_command_prints_json_and_keeps_the_audience(
    emulator: Emulator, run_companion: Companion, tmp_path: Path
) -> None:
    path = tmp_path / "answers.json"
    done = run_companion("probe", "--report", str(path), "--yes", "--json", "--keep-audience", **OAUTH)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(path.read_text())
    (kept,) = emulator.backend.audiences()
    assert f"audiences delete {kept.id}" in done.stderr
    again = run_companion("probe", "--report", str(path), "--yes", "--with-list-type", **OAUTH)
    assert (again.code, "left the audience" in again.stdout) == (0, True), again.stderr
    assert len(emulator.backend.audiences()) == 1


def test_the_command_reports_what_it_found_before_it_was_stopped(
    emulator: Emulator, run_companion: Companion, tmp_path: Path
) -> None:
    body = {"code": 29, "message": "You are not permitted to access that resource."}
    emulator.backend.inject(Fault(method="PATCH", status=403, body=body))
    path = tmp_path / "answers.json"
    done = run_companion("probe", "--report", str(path), "--yes")
    assert (done.code, "does not permit" in done.stderr, "not asked" in done.stdout) == (3, True, True)
    assert "still has invented identities" in done.stdout
    report = json.loads(path.read_text())
    assert report["stopped_by"] == {"error": "NotPermittedError", "status": 403, "code": 29}
    assert report["findings"][0]["sure"] == "seen"


def test_a_report_that_cannot_be_written_ends_the_command_before_a_request(
    emulator: Emulator, run_companion: Companion, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = run_companion("probe", "--report", str(blocked / "answers.json"), "--yes")
    assert (done.code, "Choose another file" in done.stderr) == (2, True), done.stderr
    assert emulator.backend.calls == []


def test_the_help_says_that_lists_cannot_be_deleted() -> None:
    shown = CliRunner().invoke(cli, ["probe", "--help"])
    assert "cannot be deleted" in " ".join(shown.output.split())


def test_an_audience_that_a_failure_leaves_is_named(
    emulator: Emulator, run_companion: Companion, tmp_path: Path
) -> None:
    body = {"code": 29, "message": "You are not permitted to access that resource."}
    emulator.backend.inject(Fault(path="/uploads$", status=403, body=body))
    done = run_companion("probe", "--report", str(tmp_path / "answers.json"), "--yes")
    (left,) = emulator.backend.audiences()
    assert (done.code, f"audiences delete {left.id}" in done.stdout) == (3, True), done.stdout
