"""`pinterest-audience ledger find --email` and the like: on which lists a person is, without asking Pinterest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import Sent
from tests.support.messages import address, people, record, schema
from tests.support.processes import Companion, Target

EMAIL = schema("email")
IDFA = "EA7583CD-A667-48BC-B806-42ECB2B48606"


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "load_method": "upsert"}


def found(run: Companion, *addresses: str) -> list[dict[str, Any]]:
    done = run("ledger", "find", "--email", "-", "--json", stdin="\n".join(addresses).encode())
    assert done.code == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_people_from_standard_input_are_found_on_every_list(
    run_target: Target, run_companion: Companion, sent: Sent
) -> None:
    consent = {"consent_column": "consent"}
    rows = [record(id=n, email=address(1), consent=n != 3) for n in range(4)]
    run_target([EMAIL, *people(range(2)), record(id=7, email=address(1))])
    run_target([schema("email", "consent"), *rows], customer_list_name="vip", hash_algorithm="md5", **consent)
    sent()
    first, second, third = found(run_companion, address(0), f" {address(1).upper()}", address(9))
    assert [each["number"] for each in (first, second, third)] == [1, 2, 3]
    assert [(each["customer_list"], each["on_list"]) for each in first["lists"]] == [("customers", True)]
    shown = [
        (each["customer_list"], each["on_list"], each["contributing_rows"], each["refusing_rows"])
        for each in second["lists"]
    ]
    assert shown == [("customers", True, 2, 0), ("vip", False, 3, 1)]
    assert (third["known"], third["lists"]) == (False, [])
    assert sent() == []


def test_a_forgotten_person_is_suppressed_and_on_no_list(run_target: Target, run_companion: Companion) -> None:
    run_target([EMAIL, *people(range(3))])
    assert run_companion("forget", "--email", address(1), "--yes").code == 0
    (person,) = found(run_companion, address(1))
    assert (person["known"], person["suppressed"], person["lists"]) == (True, True, [])
    run_target([EMAIL, *people(range(3))])
    (person,) = found(run_companion, address(1))
    (there,) = person["lists"]
    assert (there["on_list"], there["contributing_rows"], there["refusing_rows"]) == (False, 1, 0)
    shown = run_companion("ledger", "find", "--email", address(1)).stdout
    assert "1 of them is suppressed by `forget`." in shown


def test_what_pinterest_has_not_accepted_is_pending(
    emulator: Emulator, run_target: Target, run_companion: Companion
) -> None:
    run_target([EMAIL, *people([0])])
    emulator.backend.inject(Fault(method="PATCH", status=500))
    assert run_target([EMAIL, *people([1])], max_retries=0).code == 4
    (person,) = found(run_companion, address(1))
    assert [(each["on_list"], each["pending"]) for each in person["lists"]] == [(True, 1)]


@pytest.mark.parametrize("value", ["-", IDFA])
def test_every_type_of_identity_is_found_and_none_is_shown(
    run_target: Target, run_companion: Companion, value: str
) -> None:
    run_target([schema("email", "idfa", "phone"), record(id=1, email=address(1), idfa=IDFA, phone="+4930123456")])
    stdin = IDFA.encode() if value == "-" else b""
    done = run_companion("ledger", "find", "--idfa", value, "--phone", "+49 30 123456", stdin=stdin)
    assert done.code == 0, done.stderr
    assert done.stdout.count("customers (") == 2
    assert not any(each in done.stdout + done.stderr for each in (IDFA, "123456", "EA7583CD"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--email", address(1), "--source", "customers"), "Choose a row or people"),
        (("--email", address(1), "--row", "ab"), "Choose a row or people"),
        (("--email", "nobody"), "--email: a value is not an e-mail address"),
        ((address(1),), "Give each value with the option of its type"),
        (("--email", "-"), "Give at least one identity"),
    ],
)
def test_an_invalid_choice_is_refused_and_not_repeated(
    run_target: Target, run_companion: Companion, arguments: tuple[str, ...], words: str
) -> None:
    run_target([EMAIL, *people([1])])
    refused = run_companion("ledger", "find", *arguments, stdin=b"")
    assert (refused.code, words in refused.stderr) == (2, True)
    assert "example.com" not in refused.stderr
