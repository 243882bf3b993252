"""Phone numbers from a stream to the list: which requests carry them, and what happens if Pinterest takes none."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Call, Emulator, Fault
from tests.support.account import members
from tests.support.batch_files import batch, write
from tests.support.messages import address, deleted, digests, people, record, schema, sha256, state
from tests.support.processes import Companion, Target, environment

SCHEMA = schema("email", "phone", "country")
REFUSES_ROWS = Fault(field="records_v2", times=None)


def phone(number: int) -> str:
    return f"+49 30 1234-{number:04d}"


def as_row(value: str) -> str:
    """What the emulator shows of a number."""
    return f"hashed_phone_number:{sha256(''.join(each for each in value if each.isdigit()))}"


def rows(numbers: range, *, emails: bool = True) -> list[dict[str, Any]]:
    return [record(id=n, phone=phone(n), **({"email": address(n)} if emails else {})) for n in numbers]


def on_the_list(numbers: range) -> frozenset[str]:
    return digests(numbers) | {as_row(phone(n)) for n in numbers}


def writes(emulator: Emulator) -> list[tuple[str, str, int]]:
    """Operation, field and size of each write since the last call."""
    calls = [call for call in emulator.backend.writes() if call.path.endswith("audiences") is False]
    return [described(call) for call in calls]


def described(call: Call) -> tuple[str, str, int]:
    request: dict[str, Any] = dict(call.request or {})
    field = "records" if "records" in request else "records_v2"
    assert ("records" in request) != ("records_v2" in request)
    count = len(request[field]) if field == "records_v2" else len(request[field].split(","))
    return str(request.get("operation_type", "CREATE")), field, count


@pytest.fixture
def upserts(config: dict[str, Any]) -> dict[str, Any]:
    config["load_method"] = "upsert"
    return config


@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_phones_and_addresses_share_a_list_in_requests_of_their_own(
    emulator: Emulator, run_target: Target, load_method: str
) -> None:
    run = run_target([SCHEMA, *rows(range(25)), state(1)], load_method=load_method, batch_size_rows=10)
    assert run.code == 0, run.stderr
    assert members(emulator) == on_the_list(range(25))
    (made,) = emulator.backend.customer_lists()
    assert made.list_type == "EMAIL"
    assert sorted(size for _, _, size in writes(emulator)) == [5, 5, 10, 10, 10, 10]
    assert run.states == [state(1)["value"]]
    assert phone(1) not in run.stderr


def test_the_spellings_of_one_number_are_one_member(emulator: Emulator, run_target: Target) -> None:
    spellings = ["+49 30 12345678", "0049 (0)30 12345678", "030 12345678", "(030) 1234-5678", "493012345678"]
    stream = [SCHEMA, *(record(id=n, phone=each) for n, each in enumerate(spellings))]
    run = run_target(stream, phone_country="de", load_method="upsert")
    assert run.code == 0, run.stderr
    assert members(emulator) == {as_row("493012345678")}
    assert "5 values (1 to add, 4 duplicate)" in run.stderr


def test_the_row_names_the_country(emulator: Emulator, run_target: Target) -> None:
    stream = [
        SCHEMA,
        record(id=1, phone="030 12345678", country="DE"),
        record(id=2, phone="415 555 2671", country=" us "),
        record(id=3, phone="06 12 34 56 78", country=None),
        record(id=4, phone="06 12 34 56 79"),
        record(id=5, phone="+43 1 234567", country="Austria"),
        record(id=6, phone="01 234567", country="Austria"),
    ]
    run = run_target(stream, phone_country="FR", phone_country_column="country")
    assert run.code == 0
    expected = ("493012345678", "14155552671", "33612345678", "33612345679", "431234567")
    assert members(emulator) == set(map(as_row, expected))
    assert "`phone_country_column` must hold ISO 3166 codes" in run.stderr


def with_address(**country: Any) -> dict[str, Any]:
    """A SCHEMA whose country lies in an object."""
    message = schema("phone")
    message["schema"]["properties"]["address"] = {"type": ["null", "object"], "properties": country}
    return message


@pytest.mark.parametrize("way", ["records", "maps", "validated", "jsonl", "parquet"])
def test_the_country_may_lie_in_an_object(emulator: Emulator, run_target: Target, tmp_path: Path, way: str) -> None:
    addresses: list[Any] = [{"country": "DE"}, {"country": " us"}, {"country": None}, {}, None]
    numbers = ("030 12345678", "415 555 2671", "06 12 34 56 78", "06 12 34 56 79", "06 12 34 56 80")
    found = [{"id": n, "phone": each, "address": addresses[n]} for n, each in enumerate(numbers)]
    messages = [record(**each) for each in found]
    if way in {"jsonl", "parquet"}:
        messages = [batch(way, write(tmp_path / "f", found, way), stream="customers")]
    else:
        messages.append(record(id=5, phone="06 12 34 56 80"))
    ways: dict[str, dict[str, Any]] = {
        "maps": {"stream_maps": {"customers": {"id": "id"}}}, "validated": {"validate_records": True}
    }  # fmt: skip
    run = run_target(
        [with_address(country={"type": ["null", "string"]}), *messages],
        phone_country="FR", phone_country_column="address.country", **ways.get(way, {}),
    )  # fmt: skip
    assert run.code == 0, run.stderr
    expected = ("493012345678", "14155552671", "33612345678", "33612345679", "33612345680")
    assert members(emulator) == set(map(as_row, expected))


@pytest.mark.parametrize("country", [49, True, ["DE"], {"code": "DE"}, "Deutschland"])
@pytest.mark.parametrize("name", ["country", "address.country"])
def test_a_country_of_another_form_is_not_that_of_the_settings(
    emulator: Emulator, run_target: Target, country: object, name: str
) -> None:
    message = with_address(country={})
    message["schema"]["properties"]["country"] = {}
    place = {"country": country} if name == "country" else {"address": {"country": country}}
    stream = [message, record(id=1, phone="030 12345678", **place)]
    run = run_target(stream, phone_country="DE", phone_country_column=name)
    assert run.code == 0, run.stderr
    assert emulator.backend.writes() == []
    assert "`phone_country_column` must hold ISO 3166 codes" in run.stderr


def test_text_where_the_object_is_expected_names_no_known_country(emulator: Emulator, run_target: Target) -> None:
    stream = [with_address(country={}), record(id=1, phone="030 12345678", address="Berlin, DE")]
    run = run_target(stream, phone_country="DE", phone_country_column="address.country")
    assert run.code == 0, run.stderr
    assert emulator.backend.writes() == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("address.land", "no column address.land, which `phone_country_column` names"),
        ("lines[].country", "names lines[].country of stream customers, which leads into an array"),
    ],
)
def test_a_path_that_leads_to_no_country_is_found_before_anything_is_sent(
    emulator: Emulator, run_target: Target, path: str, words: str
) -> None:
    message = with_address(country={"type": "string"})
    message["schema"]["properties"]["lines"] = {"type": "array", "items": {"properties": {"country": {}}}}
    run = run_target([message, *rows(range(3), emails=False)], phone_country_column=path)
    assert (run.code, emulator.backend.writes()) == (2, [])
    assert words in run.stderr


def test_national_numbers_of_unknown_countries_are_rejected_and_the_others_arrive(
    emulator: Emulator, run_target: Target
) -> None:
    stream = [SCHEMA, record(id=1, phone="030 12345678", email=address(1)), *rows(range(2, 4))]
    run = run_target(stream)
    assert run.code == 0
    assert members(emulator) == on_the_list(range(2, 4)) | digests([1])
    assert "1 rejected" in run.stderr
    assert "set `phone_country`" in run.stderr
    assert "12345678" not in run.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"phone_country": "Germany"}, "`phone_country` must be an ISO 3166 code"),
        ({"phone_country": "UK"}, "is GB"),
        ({"phone_country": False}, "`phone_country` must be text"),
        ({"phone_country_column": "land"}, "no column land, which `phone_country_column` names"),
        ({"streams": {"customers": {"phone_country": "XX"}}}, "`streams.customers.phone_country` must be"),
    ],
)
def test_a_wrong_country_is_found_before_anything_is_sent(
    emulator: Emulator, run_target: Target, settings: dict[str, Any], words: str
) -> None:
    run = run_target([SCHEMA, *rows(range(3))], **settings)
    assert run.code == 2
    assert words in run.stderr
    assert emulator.backend.writes() == []


def without_library(config: dict[str, Any], folder: Path, stream: list[dict[str, Any]]) -> Any:
    """Run the target as if the extra `phone` were not installed."""
    program = "import sys; sys.modules['phonenumbers'] = None; from target_pinterest_audience.main import main; main()"
    path = folder / "without.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    lines = "".join(json.dumps(each) + "\n" for each in stream)
    argv = [sys.executable, "-c", program, "--config", str(path)]
    return subprocess.run(argv, input=lines, capture_output=True, text=True, check=False, env=environment())


def test_without_the_extra_international_numbers_arrive_and_a_country_is_a_wrong_setting(
    emulator: Emulator, config: dict[str, Any], tmp_path: Path
) -> None:
    stream = [SCHEMA, *rows(range(2)), record(id=9, phone="030 123456")]
    failed = without_library({**config, "phone_country": "DE"}, tmp_path, stream)
    assert failed.returncode == 2
    assert "Install target-pinterest-audience[phone]" in failed.stderr
    assert emulator.backend.writes() == []
    for settings in ({}, {"phone_country": "DE", "hashing": "auto", "identity_columns": {"email": "EMAIL"}}):
        assert without_library({**config, **settings}, tmp_path, stream).returncode == 0
    assert members(emulator) == on_the_list(range(2))


def test_a_list_of_phones_only_is_created_without_a_type(emulator: Emulator, run_target: Target) -> None:
    assert run_target([schema("phone"), *rows(range(3), emails=False)]).code == 0
    (creation,) = [call for call in emulator.backend.writes() if call.path.endswith("customer_lists")]
    assert creation.request is not None
    assert creation.request.keys() == {"name", "records_v2"}


def test_a_list_for_each_type_has_one_for_phones(emulator: Emulator, run_target: Target) -> None:
    assert run_target([SCHEMA, *rows(range(3))], one_list_per_type=True).code == 0
    assert members(emulator, "customers - EMAIL") == digests(range(3))
    assert members(emulator, "customers - PHONE") == {as_row(phone(n)) for n in range(3)}


def test_a_changed_number_is_one_removal_and_one_addition(
    emulator: Emulator, run_target: Target, upserts: dict[str, Any]
) -> None:
    assert run_target([SCHEMA, *rows(range(3))], **upserts).code == 0
    before = len(writes(emulator))
    changed = record(id=1, email=address(1), phone=phone(77))
    assert run_target([SCHEMA, changed, deleted(2)], **upserts).code == 0
    assert sorted(writes(emulator)[before:]) == [
        ("ADD", "records_v2", 1), ("REMOVE", "records", 1), ("REMOVE", "records_v2", 2),
    ]  # fmt: skip
    assert members(emulator) == on_the_list(range(2)) - {as_row(phone(1))} | {as_row(phone(77))}


def test_a_digest_is_a_phones_or_an_addresss_by_its_column(
    emulator: Emulator, run_target: Target, upserts: dict[str, Any]
) -> None:
    digest = sha256("the same")
    stream = [
        schema("hashed_email", "hashed_phone"),
        record(id=1, hashed_email=digest),
        record(id=2, hashed_phone=digest),
    ]
    assert run_target(stream, hashing="prehashed", **upserts).code == 0
    assert members(emulator) == {digest, f"hashed_phone_number:{digest}"}
    assert run_target([stream[0], deleted(1)], hashing="prehashed", **upserts).code == 0
    assert members(emulator) == {f"hashed_phone_number:{digest}"}


def test_a_bad_number_among_good_ones_costs_itself(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.create_list("customers", ["a" * 64])
    emulator.backend.inject(Fault(record_pattern=sha256("49301234" + "0003"), times=None))
    run = run_target([SCHEMA, *rows(range(200))])
    assert run.code == 0, run.stderr
    assert members(emulator) == on_the_list(range(200)) - {as_row(phone(3))} | {"a" * 64}
    assert "1 rejected" in run.stderr


def test_the_size_limit_of_requests_holds_for_rows(emulator: Emulator, run_target: Target) -> None:
    assert run_target([SCHEMA, *rows(range(100))], max_request_bytes=2000).code == 0
    assert members(emulator) == on_the_list(range(100))
    assert all(call.request is not None and len(json.dumps(call.request)) <= 2200 for call in emulator.backend.writes())


class TestRefusedFormat:
    """Pinterest accepts no `records_v2`."""

    @pytest.fixture(autouse=True)
    def _refuses_rows(self, emulator: Emulator) -> None:
        emulator.backend.inject(REFUSES_ROWS)

    def test_everything_else_arrives_and_the_run_says_so_in_a_sentence(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, upserts: dict[str, Any], tmp_path: Path
    ) -> None:
        report = tmp_path / "report.json"
        stream = [SCHEMA, *rows(range(500)), *people(range(500, 600)), state(1)]
        run = run_target(stream, **upserts, batch_size_rows=100, report_path=str(report))
        assert run.code == 5
        assert members(emulator) == digests(range(600))
        refused = [each for each in writes(emulator) if each[1] == "records_v2"]
        assert refused == []
        calls = [call for call in emulator.backend.calls if "records_v2" in (call.request or {})]
        assert len(calls) == 4
        assert len(emulator.backend.audiences()) == 1
        assert run.states == [state(1)["value"]]
        last = run.stderr.strip().splitlines()[-1]
        assert 'Pinterest refused all phone numbers for customer list "customers", and accepted everything else' in last
        assert "`identity_columns`" in last
        assert "500 phone numbers" in last
        assert json.loads(report.read_text(encoding="utf-8"))["exit_code"] == 5
        (known,) = json.loads(run_companion("ledger", "show", "--json").stdout)["lists"]
        assert known["pending"] >= 500

    def test_they_arrive_as_soon_as_pinterest_accepts_them(
        self, emulator: Emulator, run_target: Target, upserts: dict[str, Any]
    ) -> None:
        assert run_target([SCHEMA, *rows(range(20))], **upserts).code == 5
        emulator.backend.clear_faults()
        before = len(writes(emulator))
        run = run_target([SCHEMA, *rows(range(20))], **upserts)
        assert run.code == 0, run.stderr
        assert members(emulator) == on_the_list(range(20))
        assert {field for _, field, _ in writes(emulator)[before:]} == {"records_v2"}

    def test_without_the_column_what_waits_is_a_warning(
        self, emulator: Emulator, run_target: Target, upserts: dict[str, Any]
    ) -> None:
        assert run_target([SCHEMA, *rows(range(20))], **upserts).code == 5
        run = run_target([SCHEMA, *rows(range(20))], **upserts, identity_columns={"email": "EMAIL"})
        assert run.code == 0, run.stderr
        assert "Pinterest refused 20 phone numbers of earlier runs once more" in run.stderr
        assert members(emulator) == digests(range(20))

    def test_as_long_as_the_settings_have_the_column_every_run_fails(
        self, run_target: Target, upserts: dict[str, Any]
    ) -> None:
        stream = [SCHEMA, *rows(range(20)), state(1)]
        for _ in range(3):
            run = run_target(stream, **upserts)
            assert run.code == 5
            assert run.states == [state(1)["value"]]
            assert "The next run tries 20 phone numbers again" in run.stderr
            assert "refused by Pinterest: 20" in run.stderr
            assert "requests: 0" not in run.stderr

    def test_the_advice_about_a_refused_removal_fits_a_removal(
        self, emulator: Emulator, run_target: Target, upserts: dict[str, Any]
    ) -> None:
        emulator.backend.clear_faults()
        assert run_target([SCHEMA, *rows(range(10))], **upserts).code == 0
        emulator.backend.inject(REFUSES_ROWS)
        run = run_target([SCHEMA, *(record(id=n, email=address(n), phone=None) for n in range(6))], **upserts)
        assert run.code == 5
        assert "6 phone numbers were to be removed and may still be on the list" in run.stderr.splitlines()[-1]
        assert "Leave the phone columns out" not in run.stderr
        assert "a phone number to remove" in run.stderr

    def test_no_state_passes_numbers_that_no_ledger_remembers(self, emulator: Emulator, run_target: Target) -> None:
        stream = [SCHEMA, *people(range(5)), state(1), *rows(range(5, 10)), state(2), *people(range(10, 15)), state(3)]
        run = run_target(stream, load_method="append-only")
        assert run.code == 5
        assert members(emulator) == digests(range(15))
        assert run.states == [state(1)["value"]]

    @pytest.mark.parametrize("count", [1, 2])
    def test_one_number_that_is_refused_alone_is_enough_if_none_is_accepted(
        self, emulator: Emulator, run_target: Target, upserts: dict[str, Any], count: int
    ) -> None:
        run = run_target([SCHEMA, *rows(range(count)), *people(range(5, 8))], **upserts)
        assert run.code == 5
        assert "Pinterest refused all phone numbers" in run.stderr
        assert "HTTP 400" in run.stderr
        assert members(emulator) == digests([*range(count), 5, 6, 7])

    def test_a_list_that_only_phones_would_create_is_not_created(
        self, emulator: Emulator, run_target: Target, upserts: dict[str, Any]
    ) -> None:
        run = run_target([schema("phone"), *rows(range(5), emails=False), state(1)], **upserts)
        assert run.code == 5
        assert emulator.backend.customer_lists() == []
        emulator.backend.clear_faults()
        assert run_target([schema("phone")], **upserts).code == 0
        assert members(emulator) == {as_row(phone(n)) for n in range(5)}

    def test_other_lists_get_everything(self, emulator: Emulator, run_target: Target) -> None:
        emulator.backend.clear_faults()
        first, second = (emulator.backend.create_list(name, ["a" * 64]).id for name in ("x", "y"))
        emulator.backend.inject(replace(REFUSES_ROWS, path=f"customer_lists/{first}$"))
        stream = [SCHEMA, *(record(id=n, phone=phone(n), email=address(n), country="xy"[n % 2]) for n in range(20))]
        run = run_target(stream, list_name_column="country")
        assert run.code == 5
        assert members(emulator, "y") == on_the_list(range(1, 20, 2)) | {"a" * 64}
        assert members(emulator, "x") == digests(range(0, 20, 2)) | {"a" * 64}
        assert second

    def test_bad_records_do_not_end_the_run(self, emulator: Emulator, run_target: Target) -> None:
        run = run_target([SCHEMA, *rows(range(50)), *people(range(50, 60))], bad_records="fail", batch_size_rows=5)
        assert run.code == 5
        assert "Bad record" not in run.stderr
        assert "Pinterest refused all phone numbers" in run.stderr
        assert members(emulator) == digests(range(60))


def test_a_restricted_feature_is_a_refused_format(emulator: Emulator, run_target: Target) -> None:
    body = {"code": 3, "message": "Your application does not have access to this restricted feature: records_v2"}
    emulator.backend.inject(replace(REFUSES_ROWS, status=401, body={**body, "status": "failure"}))
    run = run_target([SCHEMA, *rows(range(50))])
    assert run.code == 5
    assert "restricted feature" in run.stderr
    assert members(emulator) == digests(range(50))
    assert len([call for call in emulator.backend.calls if "records_v2" in (call.request or {})]) == 1


class TestCommands:
    """`forget`, `readmit` and `clear` with phone numbers."""

    def test_a_number_is_forgotten_in_every_form_and_stays_out_until_it_is_readmitted(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, upserts: dict[str, Any]
    ) -> None:
        assert run_target([SCHEMA, *rows(range(3))], **upserts).code == 0
        with_sign = f"hashed_phone_number:{sha256('+493012340001')}"
        emulator.backend.create_list("by others", [with_sign, "a" * 64])
        before = len(writes(emulator))
        done = run_companion("forget", "--phone", "0049 (0)30 12340001", "--yes", "--json")
        assert done.code == 0, done.stderr
        assert {each[:2] for each in writes(emulator)[before:]} == {("REMOVE", "records_v2")}
        assert members(emulator) == on_the_list(range(3)) - {as_row(phone(1))}
        assert members(emulator, "by others") == {"a" * 64}
        assert run_target([SCHEMA, *rows(range(3))], **upserts).code == 0
        assert members(emulator) == on_the_list(range(3)) - {as_row(phone(1))}
        assert run_companion("readmit", "--phone", phone(1), "--yes").code == 0
        assert run_target([SCHEMA, *rows(range(3))], **upserts).code == 0
        assert members(emulator) == on_the_list(range(3))

    def test_a_national_number_needs_the_country_of_the_settings(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, upserts: dict[str, Any]
    ) -> None:
        assert run_target([SCHEMA, *rows(range(3))], **upserts).code == 0
        refused = run_companion("forget", "--phone", "030 12340001", "--yes")
        assert refused.code == 2
        assert "phone_country" in refused.stderr
        assert "12340001" not in refused.stderr
        streams = {"customers": {"phone_country": "de"}}
        assert run_companion("forget", "--phone", "030 12340001", "--yes", streams=streams).code == 0
        assert as_row(phone(1)) not in members(emulator)

    def test_a_digest_is_forgotten_as_an_address_and_as_a_phone_number(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, upserts: dict[str, Any]
    ) -> None:
        digest = as_row(phone(1)).partition(":")[2]
        stream = [SCHEMA, *rows(range(3)), record(id=7, email=digest)]
        assert run_target(stream, **upserts).code == 0
        assert digest in members(emulator)
        assert run_companion("forget", "--digest", digest, "--yes").code == 0
        assert members(emulator) == on_the_list(range(3)) - {as_row(phone(1))}

    def test_a_digest_is_forgotten_though_pinterest_accepts_no_phones_and_a_phone_is_not(
        self, emulator: Emulator, run_companion: Companion
    ) -> None:
        emulator.backend.create_list("customers", [sha256("x")])
        emulator.backend.inject(REFUSES_ROWS)
        done = run_companion("forget", "--digest", sha256("x"), "--yes")
        assert done.code == 0, done.stderr
        assert members(emulator) == frozenset()
        assert run_companion("forget", "--phone", phone(1), "--yes").code == 5

    def test_a_list_is_cleared_of_phones(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, upserts: dict[str, Any]
    ) -> None:
        assert run_target([SCHEMA, *rows(range(3))], **upserts).code == 0
        (made,) = emulator.backend.customer_lists()
        assert run_companion("clear", "--list", made.id, "--yes").code == 0
        assert members(emulator) == frozenset()

    def test_people_who_are_missing_from_a_complete_run_are_pruned_with_their_phones(
        self, emulator: Emulator, run_target: Target, run_companion: Companion, upserts: dict[str, Any]
    ) -> None:
        upserts["load_method"] = "overwrite"
        assert run_target([SCHEMA, *rows(range(10))], **upserts).code == 0
        assert run_target([SCHEMA, *rows(range(8))], **upserts).code == 0
        assert run_companion("prune").code == 0
        assert members(emulator) == on_the_list(range(8))
