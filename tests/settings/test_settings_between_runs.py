"""Settings and columns that change between runs: nobody stays, leaves or comes back without a word."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import members
from tests.support.ledgers import address as address_of
from tests.support.messages import address, deleted, digests, people, record, schema, sha256
from tests.support.processes import Prune, Target

IDFA = "EA7583CD-B890-48BC-8F00-{:012d}"
BOTH = schema("email", "idfa", "_sdc_deleted_at")


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, config: dict[str, Any]) -> dict[str, Any]:
    """Settings for each kind of ledger."""
    if request.param == "postgres":
        config["ledger_url"] = address_of(request.getfixturevalue("database"))
    return {name: value for name, value in config.items() if name != "load_method"}


def both(numbers: range) -> list[dict[str, Any]]:
    return [record(id=n, email=address(n), idfa=IDFA.format(n)) for n in numbers]


def devices(numbers: range) -> frozenset[str]:
    return frozenset(sha256(IDFA.format(n)) for n in numbers)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_a_missing_column_is_a_warning_in_each_run_that_names_its_likely_replacement(
    emulator: Emulator, run_target: Target
) -> None:
    run_target([BOTH, *both(range(3))])
    renamed = schema("mail1", "idfa", "_sdc_deleted_at")
    rows = [record(id=n, mail1=address(n), idfa=IDFA.format(n)) for n in range(3)]
    for _ in range(2):
        run = run_target([renamed, *rows])
        assert run.code == 0, run.stderr
        assert "(email), which are no longer identity columns" in run.stderr
        assert '`identity_columns: {"mail1": "EMAIL"}`' in run.stderr
    assert members(emulator) == digests(range(3)) | devices(range(3))
    mapped = run_target([renamed, *rows[:2]], identity_columns={"mail1": "EMAIL", "idfa": "IDFA"})
    assert "no longer identity columns" not in mapped.stderr


def test_a_source_that_has_none_of_its_columns_left_is_refused(emulator: Emulator, run_target: Target) -> None:
    run_target([schema("email"), *people(range(3))])
    run = run_target([schema("idfa"), record(id=1, idfa=IDFA.format(1))])
    assert (run.code, "identity columns is left" in run.stderr) == (2, True)
    assert members(emulator) == digests(range(3))


def test_a_column_that_never_put_anybody_on_a_list_may_go(run_target: Target) -> None:
    run_target([BOTH, *people(range(3))])
    assert "no longer identity columns" not in run_target([schema("email"), *people(range(3))]).stderr


def test_prune_removes_the_people_whom_a_lost_column_put_on_the_list(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    settings = {"load_method": "overwrite", "max_removal_percent": 100}
    run_target([BOTH, *both(range(40))], **settings)
    narrow = {**settings, "identity_columns": {"email": "EMAIL"}}
    warned = run_target([BOTH, *both(range(40))], **narrow)
    assert "(idfa), which are no longer identity columns" in warned.stderr
    assert run_prune(**narrow).code == 0
    assert members(emulator) == digests(range(40))
    assert "no longer identity columns" not in run_target([BOTH, *both(range(40))], **narrow).stderr


def test_a_column_that_one_run_lacked_is_not_lost_for_a_prune_after_several(
    emulator: Emulator, run_target: Target, run_prune: Prune
) -> None:
    settings = {"load_method": "overwrite", "max_removal_percent": 100}
    narrow = {**settings, "identity_columns": {"email": "EMAIL"}}
    run_target([BOTH, *both(range(5))], **settings)
    for missing in (1, 2):
        run_target([BOTH, *both(range(5))], **narrow)
        assert run_prune("--missing-runs", "2", **narrow).code == 0
        assert members(emulator) == digests(range(5)) | (devices(range(5)) if missing == 1 else frozenset())


def test_a_column_whose_type_changes_withdraws_what_it_contributed(emulator: Emulator, run_target: Target) -> None:
    message = schema("device", "lr", "email")
    row = record(id=1, device="aaaaaaaa-b890-48bc-8f00-0123456789ab", lr="X1", email=address(1))
    types = {"device": "IDFA", "lr": "LR_ID", "email": "EMAIL"}
    run_target([message, row], identity_columns=types)
    run = run_target([message, row], identity_columns={**types, "device": "GAID", "lr": "DLX_ID"})
    assert run.code == 0, run.stderr
    assert members(emulator) == {sha256("aaaaaaaa-b890-48bc-8f00-0123456789ab"), sha256(address(1))}
    assert members(emulator, "customers - LR_ID") == frozenset()
    assert members(emulator, "customers - DLX_ID") == {"X1"}


# Refusals and algorithms

LEFT = schema("email", "_sdc_deleted_at", stream="left")
REMOVES: dict[str, Any] = {"customer_list_name": "L", "streams": {"left": {"operation": "remove"}, "customers": {}}}
PEOPLE = schema("email", "_sdc_deleted_at")


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_a_refusal_holds_under_another_algorithm(emulator: Emulator, run_target: Target, algorithm: str) -> None:
    run_target([PEOPLE, *people([1, 2]), LEFT, *people([1], "left")], **REMOVES)
    run = run_target([PEOPLE, *people([1, 2])], **REMOVES, hash_algorithm=algorithm, max_removal_percent=100)
    assert run.code == 0, run.stderr
    assert members(emulator, "L") == {hashlib.new(algorithm, address(2).encode()).hexdigest()}


def test_a_refusal_of_a_plain_address_covers_its_digest(emulator: Emulator, run_target: Target) -> None:
    hashed = [record(id=n, email=md5(address(n))) for n in (1, 2)]
    for order in ([PEOPLE, *hashed, LEFT, *people([1], "left")], [LEFT, *people([1], "left"), PEOPLE, *hashed]):
        run_target(order, **REMOVES)
        assert members(emulator, "L") == {md5(address(2))}
    run_target([LEFT, deleted(1, "left")], **REMOVES)
    assert members(emulator, "L") == {md5(address(n)) for n in (1, 2)}


def test_the_algorithm_cannot_change_while_a_refusal_is_known_by_one_digest_only(
    emulator: Emulator, run_target: Target
) -> None:
    refusing = [record("left", id=1, email=sha256(address(1)))]
    run_target([PEOPLE, *people([1, 2]), LEFT, *refusing], **REMOVES)
    run = run_target([PEOPLE, *people([1, 2])], **REMOVES, hash_algorithm="md5")
    assert (run.code, "`hash_algorithm` was sha256" in run.stderr) == (2, True)
    assert members(emulator, "L") == digests([2])


def test_withdrawn_consent_holds_under_another_algorithm(emulator: Emulator, run_target: Target) -> None:
    asked = schema("email", "consent")
    no = record(id=1, email=address(1), consent="no")
    run_target([asked, no, record(id=2, email=address(2), consent="yes")], consent_column="consent")
    others = [record(id=n, email=address(n)) for n in (3, 2, 1)]
    run_target([asked, *others[:2], record(id=4, email=address(1))], hash_algorithm="md5", max_removal_percent=100)
    assert members(emulator) == {md5(address(n)) for n in (2, 3)}


def test_a_deleted_row_without_a_key_is_found_under_every_algorithm(emulator: Emulator, run_target: Target) -> None:
    keyless = schema("email", "_sdc_deleted_at", key=())
    run_target([keyless, record(email=address(1)), record(email=address(2))])
    run_target([keyless, record(email=address(1), _sdc_deleted_at="2026")], hash_algorithm="md5")
    assert members(emulator) == digests([2])


def test_a_truncated_digest_is_a_different_identity(emulator: Emulator, run_target: Target) -> None:
    whole = sha256(address(1))
    message = schema("email", "hashed_email", "_sdc_deleted_at")
    run_target([message, record(id=1, email=address(1)), record(id=2, hashed_email=whole[:32])])
    run_target([message, record(id=3, hashed_email=whole[:40])])
    assert members(emulator) == {whole, whole[:32], whole[:40]}
    run_target([message, deleted(2), deleted(3)])
    assert members(emulator) == {whole}


# Without a key


@pytest.mark.parametrize("answers", [("no", "yes"), ("yes", "no"), ("no", "yes", "yes")])
def test_without_a_key_a_refusal_wins_in_a_run(
    emulator: Emulator, run_target: Target, answers: tuple[str, ...]
) -> None:
    keyless = schema("email", "consent", key=())
    rows = [record(email=address(1), consent=answer) for answer in answers]
    ask = {"consent_column": "consent"}
    run = run_target([keyless, *rows, record(email=address(2), consent="yes")], **ask)
    assert members(emulator) == digests([2])
    assert "do not add up" not in run.stderr
    run_target([keyless, record(email=address(1), consent="yes")], **ask)
    assert members(emulator) == digests([1, 2])


# Deletes that meet nothing


def test_deletes_of_unknown_rows_are_counted_and_reported(run_target: Target) -> None:
    run_target([PEOPLE, *people(range(20))])
    some = run_target([PEOPLE, deleted(1), deleted(77)])
    assert "2 of them marked as deleted (1 of rows that the ledger does not know)" in some.stderr
    none = run_target([PEOPLE, *(deleted(n) for n in range(100, 112))])
    assert "none of the 12 deletes matched a row in the ledger" in none.stderr
