"""The state and its rules, without a socket and by a clock that the tests move."""

from __future__ import annotations

import random
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_pinterest_audience.emulator import ApiError, Backend, Fault, Settings
from target_pinterest_audience.emulator.settings import SettingsOptions
from target_pinterest_audience.emulator.state.credentials import Client
from target_pinterest_audience.emulator.state.faults import Attempt
from target_pinterest_audience.emulator.state.validation import split_records
from tests.support.account import ACCOUNT
from tests.support.backend import APP, admitted, token
from tests.support.operations import NAMED, perform, update
from tests.support.waiting import Clock

SECRET_RECORD = "somebody@example.com"


def create(backend: Backend, **body: Any) -> Any:
    return perform(backend, "customer_lists/create", {"name": "customers", "records": "a,b", **body})


def get(backend: Backend, list_id: str) -> Any:
    return perform(backend, "customer_lists/get", customer_list_id=list_id)


# Customer lists.


def test_a_list_is_created_with_its_records_and_counts_them_at_once(backend: Backend, clock: Clock) -> None:
    made = create(backend, records=" a , b,a,\t,\n b ,")
    assert made == {
        "ad_account_id": ACCOUNT,
        "created_time": int(clock.now),
        "exceptions": {},
        "id": made["id"],
        "name": "customers",
        "num_batches": 1,
        "num_removed_user_records": 0,
        "num_uploaded_user_records": 4,
        "status": "PROCESSING",
        "type": "customerlist",
        "updated_time": int(clock.now),
    }
    assert backend.members(made["id"]) == {"a", "b"}
    assert backend.customer_lists()[0].list_type == "EMAIL"


@given(
    st.lists(st.tuples(st.sampled_from(["ADD", "REMOVE"]), st.lists(st.sampled_from("abcdef"), min_size=1)), max_size=8)
)
def test_any_sequence_of_updates_leaves_the_set_and_counts_the_input(updates: list[tuple[str, list[str]]]) -> None:
    backend = Backend()
    list_id = create(backend, records="a,f")["id"]
    expected = {"a", "f"}
    shown = get(backend, list_id)
    for operation_type, values in updates:
        shown = update(backend, list_id, operation_type=operation_type, records=",".join(values))
        expected = expected | set(values) if operation_type == "ADD" else expected - set(values)
    assert backend.members(list_id) == expected
    assert shown["num_batches"] == 1 + len(updates)
    assert shown["num_uploaded_user_records"] == 2 + sum(len(values) for kind, values in updates if kind == "ADD")
    assert shown["num_removed_user_records"] == sum(len(values) for kind, values in updates if kind == "REMOVE")


@pytest.mark.parametrize(
    "body",
    [
        {"records": None},
        {"records": ""},
        {"records": " , ,\n,"},
        {"records": ["a"]},
        {"records_v2": [{"email": SECRET_RECORD}]},
        {"name": None},
        {"name": "  "},
        {"list_type": "PHONE"},
        {"list_type": "email"},
        {"is_nca": "yes"},
    ],
)
def test_a_list_that_breaks_a_rule_is_refused_and_not_created(backend: Backend, body: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        create(backend, **body)
    assert (refused.value.status, refused.value.body()["status"]) == (400, "failure")
    assert backend.customer_lists() == []


@pytest.mark.parametrize(
    "body",
    [
        {"records": SECRET_RECORD},
        {"operation_type": "REPLACE", "records": SECRET_RECORD},
        {"operation_type": "ADD"},
        {"operation_type": "ADD", "records": ","},
        {"operation_type": "ADD", "records_v2": [{"mail": SECRET_RECORD}]},
        {"operation_type": "ADD", "records": SECRET_RECORD, "records_v2": []},
    ],
)
def test_an_update_that_breaks_a_rule_changes_nothing_and_echoes_nothing(
    backend: Backend, body: dict[str, Any]
) -> None:
    before = create(backend)
    with pytest.raises(ApiError) as refused:
        update(backend, before["id"], **body)
    assert refused.value.status == 400
    assert SECRET_RECORD not in str(refused.value)
    assert get(backend, before["id"]) == before


PHONE = "ab" * 32


def test_rows_of_records_v2_are_members_of_their_own(backend: Backend) -> None:
    rows = [{"hashed_phone_number": PHONE}, {"email": "a"}, {"maid": "m", "email": "b"}]
    made = perform(backend, "customer_lists/create", {"name": "customers", "records_v2": rows})
    assert backend.members(made["id"]) == {f"hashed_phone_number:{PHONE}", "email:a", "email:b&maid:m"}
    assert made["num_uploaded_user_records"] == 3
    update(backend, made["id"], operation_type="ADD", records="a")
    update(backend, made["id"], operation_type="REMOVE", records_v2=[{"email": "a"}, {"hashed_phone_number": PHONE}])
    assert backend.members(made["id"]) == {"a", "email:b&maid:m"}


@pytest.mark.parametrize(
    "rows",
    [
        [], {}, "a", None, [SECRET_RECORD], [{}], [{"phone": SECRET_RECORD}], [{"email": 5}], [{"email": " "}],
        [{"hashed_phone_number": SECRET_RECORD}], [{"hashed_pinner_id": "+49301234567"}],
        [{"hashed_phone_number": PHONE}, {"hashed_phone_number": PHONE[1:]}],
    ],
)  # fmt: skip
def test_rows_of_records_v2_that_break_a_rule_change_nothing_and_are_not_echoed(backend: Backend, rows: Any) -> None:
    before = create(backend)
    with pytest.raises(ApiError) as refused:
        update(backend, before["id"], operation_type="ADD", records_v2=rows)
    assert refused.value.status == 400
    assert SECRET_RECORD not in str(refused.value)
    assert get(backend, before["id"]) == before


def test_a_fault_can_meet_bodies_with_a_field(backend: Backend) -> None:
    fault = Fault(field="records_v2", times=None)
    assert fault.status == 400
    backend.inject(fault)
    path = f"/v5/ad_accounts/{ACCOUNT}/customer_lists/1"
    assert backend.take_fault(Attempt("PATCH", path, fields={"records_v2"})) is fault
    assert backend.take_fault(Attempt("PATCH", path, fields={"records"})) is None


def test_a_missing_body_is_refused(backend: Backend) -> None:
    with pytest.raises(ApiError, match="JSON object"):
        perform(backend, "customer_lists/create")


@pytest.mark.parametrize(("list_id", "status"), [("999", 404), ("abc", 400), ("1" * 19, 400), ("1" * 18, 404)])
def test_an_unknown_list_is_not_found_and_a_bad_id_is_a_bad_request(
    backend: Backend, list_id: str, status: int
) -> None:
    body = {"operation_type": "ADD", "records": "a"}
    for name in ("customer_lists/get", "customer_lists/update"):
        with pytest.raises(ApiError) as refused:
            perform(backend, name, body, customer_list_id=list_id)
        assert refused.value.status == status


def test_an_id_is_never_used_again(clock: Clock) -> None:
    used: set[str] = set()
    for _ in range(2):
        backend = Backend(clock=clock)
        made = backend.create_list("customers"), backend.create_list("customers")
        used |= {each.id for each in made} | {backend.create_audience("buyers", made[0].id).id}
        clock.now += 1
    assert len(used) == 6
    assert max(map(len, used)) <= 18


def test_names_are_not_unique(backend: Backend) -> None:
    first, second = backend.create_list("customers", ["a"]), backend.create_list("customers", ["b"], list_type="MAID")
    assert first.id != second.id
    assert [each.name for each in backend.customer_lists()] == ["customers", "customers"]
    assert backend.customer_lists()[1] == second


@pytest.mark.parametrize(("members", "match_percent", "status"), [(99, 100, "TOO_SMALL"), (100, 100, "READY")])
@pytest.mark.parametrize("halved", [False, True])
def test_a_list_is_processing_for_a_set_time(
    clock: Clock, members: int, match_percent: float, status: str, *, halved: bool
) -> None:
    if halved:
        members, match_percent = 2 * members, match_percent / 2
    backend = Backend(Settings(processing_seconds=10, match_percent=match_percent), clock=clock)
    list_id = create(backend, records=",".join(map(str, range(members))))["id"]
    clock.now += 9.9
    assert get(backend, list_id)["status"] == "PROCESSING"
    clock.now += 0.1
    assert get(backend, list_id)["status"] == status
    update(backend, list_id, operation_type="REMOVE", records="nobody")
    assert get(backend, list_id)["status"] == "PROCESSING"


# Pages.


def pages(backend: Backend, **query: str) -> list[list[str]]:
    shown: list[list[str]] = []
    bookmark: str | None = ""
    while bookmark is not None:
        page = perform(backend, "customer_lists/list", query={**query, **({"bookmark": bookmark} if bookmark else {})})
        shown.append([each["name"] for each in page["items"]])
        bookmark = page["bookmark"]
    return shown


@pytest.mark.parametrize(("order", "expected"), [("ASCENDING", "0 1 2 3 4"), ("DESCENDING", "4 3 2 1 0")])
@pytest.mark.parametrize(
    ("page_size", "limit", "sizes"), [("2", 250, [2, 2, 1]), ("250", 2, [2, 2, 1]), ("5", 250, [5])]
)
def test_pages_lead_to_every_list_once_in_order(
    clock: Clock, order: str, expected: str, page_size: str, limit: int, sizes: list[int]
) -> None:
    backend = Backend(Settings(page_size_limit=limit), clock=clock)
    for number in range(5):
        backend.create_list(str(number))
    found = pages(backend, order=order, page_size=page_size)
    assert [len(page) for page in found] == sizes
    assert [name for page in found for name in page] == expected.split()


def test_a_page_has_25_items_by_default(backend: Backend) -> None:
    for number in range(26):
        backend.create_list(str(number))
    assert [len(page) for page in pages(backend)] == [25, 1]


@pytest.mark.parametrize(
    "query",
    [
        {"page_size": "0"},
        {"page_size": "251"},
        {"page_size": "ten"},
        {"page_size": "²"},
        {"order": "asc"},
        {"bookmark": "0"},
        {"bookmark": "YWZ0ZXI6eA=="},
        {"exclude_nca": "1"},
    ],
)
def test_a_bad_query_parameter_is_refused(backend: Backend, query: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        perform(backend, "customer_lists/list", query=query)
    assert refused.value.status == 400


def test_lists_for_new_customers_can_be_left_out(backend: Backend) -> None:
    create(backend, name="new", is_nca=True)
    create(backend, name="old")
    shown = perform(backend, "customer_lists/list")["items"]
    assert [(each["name"], each["is_nca"]) for each in shown] == [("new", True), ("old", False)]
    assert pages(backend, exclude_nca="true") == [["old"]]


# Accounts.


def test_an_unknown_account_is_not_found_and_a_foreign_one_forbidden(clock: Clock) -> None:
    backend = Backend(Settings(forbidden_ad_account_ids=("42",)), clock=clock)
    answers = {}
    for account in ("1", "42", "x"):
        with pytest.raises(ApiError) as refused:
            perform(backend, "ad_accounts/get", ad_account_id=account)
        answers[account] = refused.value.status, refused.value.code
    assert answers == {"1": (404, 2), "42": (403, 29), "x": (400, 400)}


# Tokens.


def test_tokens_are_known_restricted_or_unknown(clock: Clock) -> None:
    backend = Backend(Settings(restricted_tokens=("trial",)), clock=clock)
    bearers = ("emulator-token", "trial", "other", None)
    assert [admitted(backend, each) for each in bearers] == [(200, 0), (401, 3), (401, 2), (401, 2)]


def test_a_refresh_token_works_once_and_gives_new_tokens(backend: Backend) -> None:
    first = token(backend, grant_type="refresh_token", refresh_token="emulator-refresh")
    assert admitted(backend, first["access_token"]) == (200, 0)
    with pytest.raises(ApiError) as revoked:
        token(backend, grant_type="refresh_token", refresh_token="emulator-refresh")
    assert revoked.value.status == 401
    second = token(backend, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert len({first["refresh_token"], second["refresh_token"], "emulator-refresh"}) == 3
    assert first["access_token"] != second["access_token"]


def test_the_old_refresh_token_can_be_left_working(clock: Clock) -> None:
    backend = Backend(Settings(revoke_old_refresh_token=False), clock=clock)
    for _ in range(2):
        assert token(backend, grant_type="refresh_token", refresh_token="emulator-refresh")["refresh_token"]


def test_tokens_expire_by_the_clock_and_on_demand(clock: Clock) -> None:
    backend = Backend(Settings(access_token_lifetime_seconds=60, refresh_token_lifetime_seconds=600), clock=clock)
    clock.now += 59
    assert admitted(backend, "emulator-token") == (200, 0)
    clock.now += 1
    assert admitted(backend, "emulator-token") == (401, 2)
    issued = token(backend, grant_type="refresh_token", refresh_token="emulator-refresh")
    assert (issued["expires_in"], issued["refresh_token_expires_at"]) == (60, int(clock.now) + 600)
    assert admitted(backend, issued["access_token"]) == (200, 0)
    backend.expire_access_tokens()
    assert admitted(backend, issued["access_token"]) == (401, 2)
    clock.now += 600
    with pytest.raises(ApiError) as expired:
        token(backend, grant_type="refresh_token", refresh_token=issued["refresh_token"])
    assert expired.value.status == 401


@pytest.mark.parametrize(
    ("client", "form", "status"),
    [
        (None, {"grant_type": "refresh_token", "refresh_token": "emulator-refresh"}, 401),
        (Client("emulator-app", "wrong"), {"grant_type": "refresh_token", "refresh_token": "emulator-refresh"}, 401),
        (APP, {"grant_type": "refresh_token", "refresh_token": "wrong"}, 401),
        (APP, {"grant_type": "refresh_token"}, 400),
        (APP, {"grant_type": "authorization_code", "code": "x"}, 400),
        (APP, {}, 400),
    ],
)
def test_a_bad_token_request_is_refused(
    backend: Backend, client: Client | None, form: dict[str, str], status: int
) -> None:
    with pytest.raises(ApiError) as refused:
        token(backend, client, **form)
    assert refused.value.status == status


# The budget.


def test_a_spent_budget_is_full_again_after_a_minute(clock: Clock) -> None:
    backend = Backend(Settings(ads_read_per_minute=2), clock=clock)
    headers = backend.headers("ads_read")
    assert headers.pop("x-pinterest-rid").isdigit()
    assert headers == {
        "x-ratelimit-limit": '2, 2;w=60;name="ads_read_app_id_user_id"',
        "x-ratelimit-remaining": "2",
        "x-ratelimit-reset": "0",
    }
    assert [admitted(backend, "emulator-token") for _ in range(3)] == [(200, 0), (200, 0), (429, 8)]
    clock.now += 59.5
    headers = backend.headers("ads_read")
    assert (headers["x-ratelimit-remaining"], headers["x-ratelimit-reset"]) == ("0", "1")
    backend.admit(NAMED["customer_lists/create"], "emulator-token")
    clock.now += 0.5
    assert admitted(backend, "emulator-token") == (200, 0)


# One write at a time.


def test_a_second_write_on_an_object_in_flight_is_refused(backend: Backend) -> None:
    with backend.in_flight("/lists/1"), backend.in_flight("/lists/2"), backend.in_flight(None), backend.in_flight(None):
        with pytest.raises(ApiError) as refused, backend.in_flight("/lists/1"):
            pytest.fail("two writes at once")
        assert (refused.value.status, refused.value.code) == (429, 8)
    with backend.in_flight("/lists/1"):
        pass


# Faults.


def attempt(records: str = "", method: str = "PATCH", num_bytes: int = 0) -> Attempt:
    path = f"/v5/ad_accounts/{ACCOUNT}/customer_lists/1"
    return Attempt(method, path, num_bytes, split_records(records), {"records"} if records else set())


@pytest.mark.parametrize(
    ("fault", "met"),
    [
        (Fault(status=500), "1"),
        (Fault(status=500, skip=1), "2"),
        (Fault(status=500, times=2), "12"),
        (Fault(status=500, skip=1, times=2), "23"),
        (Fault(status=500, times=None), "1234"),
        (Fault(status=500, skip=2, times=None), "34"),
        (Fault(status=500, method="patch"), "1"),
        (Fault(status=500, method="POST"), ""),
        (Fault(status=500, path=r"customer_lists/\d+$"), "1"),
        (Fault(status=500, path=r"customer_lists$"), ""),
    ],
)
def test_a_fault_affects_the_calls_it_describes(backend: Backend, fault: Fault, met: str) -> None:
    backend.inject(fault)
    assert "".join(str(call) for call in range(1, 5) if backend.take_fault(attempt()) is fault) == met


def test_faults_on_the_same_calls_happen_one_after_the_other(backend: Backend) -> None:
    faults = [Fault(status=500, times=2), Fault(status=502), Fault(status=503)]
    for fault in faults:
        backend.inject(fault)
    assert [backend.take_fault(attempt()) for _ in range(5)] == [faults[0], faults[0], faults[1], faults[2], None]


def test_faults_can_be_cleared(backend: Backend) -> None:
    backend.inject(Fault(status=500, times=None))
    backend.clear_faults()
    assert backend.take_fault(attempt()) is None


@pytest.mark.parametrize(
    ("fault", "met", "passed"),
    [
        (Fault(more_records_than=2), attempt("a,b,c"), attempt("a,b,")),
        (Fault(record_pattern="^bad"), attempt("a,bad1"), attempt("a,notbad")),
        (Fault(more_records_than=1, record_pattern="bad"), attempt("a,bad"), attempt("bad")),
        (Fault(more_bytes_than=9, status=413), attempt(num_bytes=10), attempt(num_bytes=9)),
    ],
)
def test_a_fault_can_look_at_the_batch(backend: Backend, fault: Fault, met: Attempt, passed: Attempt) -> None:
    backend.inject(fault)
    assert backend.take_fault(passed) is None
    taken = backend.take_fault(met)
    assert taken is not None
    assert taken.status == fault.status in {400, 413}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"status": 500, "reset": True},
        {"headers": {"Retry-After": "1"}, "reset": True},
        {"body": {}, "delay_ms": 5},
        {"status": 100},
        {"status": 500, "when": "during"},
        {"status": 500, "when": "late", "late_writes": 0},
        {"status": 500, "late_writes": 2},
        {"delay_ms": 5, "when": "late"},
        {"status": 500, "skip": -1},
        {"status": 500, "times": 0},
        {"status": 500, "path": "("},
        {"record_pattern": "["},
    ],
)
def test_an_invalid_fault_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Fault(**options)


@pytest.mark.parametrize(
    "values", [{"status": "500"}, {"status": True}, {"reset": 1}, {"typo": 1, "status": 500}, {"times": 1.5}]
)
def test_an_invalid_fault_in_json_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        Fault.from_json(values)


def test_a_fault_from_json_is_the_same_fault() -> None:
    values: dict[str, Any] = {"method": "PATCH", "status": 429, "headers": {"Retry-After": 2}, "times": None}
    assert Fault.from_json(values) == Fault(method="PATCH", status=429, headers={"Retry-After": "2"}, times=None)


# Settings and the start.


@pytest.mark.parametrize(
    "options", [{"match_percent": 101}, {"page_size_limit": 0}, {"page_size_limit": 251}, {"latency_ms": -1}]
)
def test_settings_out_of_bounds_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Settings(**options)


def test_the_keyword_arguments_are_the_settings() -> None:
    assert get_type_hints(SettingsOptions) == get_type_hints(Settings)


def test_a_reset_forgets_everything(backend: Backend) -> None:
    create(backend)
    backend.inject(Fault(status=500))
    backend.expire_access_tokens()
    backend.reset()
    assert (backend.customer_lists(), backend.take_fault(attempt())) == ([], None)
    assert admitted(backend, "emulator-token") == (200, 0)


def test_the_same_seed_makes_the_same_tokens(clock: Clock) -> None:
    answers = []
    for seed in (7, 7, 8):
        backend = Backend(clock=clock, random=random.Random(seed))
        answers.append(token(backend, grant_type="refresh_token", refresh_token="emulator-refresh"))
    assert answers[0] == answers[1] != answers[2]
