"""Before a second list is made whose name is easily taken for another's, the run says so: no list can be deleted."""

from __future__ import annotations

import unicodedata

import pytest

from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.identities.list_names import difference, likeness
from tests.support.messages import address, people, record, schema
from tests.support.processes import Companion, Target

CAFE = "Café Kunden"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (unicodedata.normalize("NFD", CAFE), "in how its accents are encoded (Unicode NFC or NFD)"),
        ("café kunden", "in case"),
        ("Café  Kunden ", "in blanks"),
        ("CaféKunden", "in blanks"),
        ("Café\u00a0Kunden", "in blanks"),
        ("\uff23afé \uff2bunden", "in width or other forms of the same characters"),
        ("Café Kun\u200bden", "in case, blanks or forms of the same characters"),
        ("\uff23AFÉ KUNDEN", "in case, blanks or forms of the same characters"),
    ],
)
def test_names_that_people_confuse_are_similar_and_their_difference_is_described(other: str, words: str) -> None:
    assert likeness(other) == likeness(CAFE)
    assert difference(CAFE, other) == words
    assert difference(other, CAFE) == words


@pytest.mark.parametrize("other", ["Cafe Kunden", "Café Kunde", "Café Kunden 2"])
def test_other_names_are_not_similar(other: str) -> None:
    assert likeness(other) != likeness(CAFE)


@pytest.mark.parametrize("load_method", ["append-only", "upsert"])
def test_a_second_list_is_not_created_without_a_warning(
    emulator: Emulator, run_target: Target, load_method: str
) -> None:
    made = emulator.backend.create_list("CAFÉ kunden")
    run = run_target([schema("email"), *people([1])], customer_list_name=CAFE, load_method=load_method)
    assert run.code == 0, run.stderr
    assert (
        f'There is no customer list "{CAFE}". Did you mean "CAFÉ kunden" (id {made.id}), which differs only in case'
        in run.stderr
    )
    assert "can be neither renamed nor deleted" in run.stderr
    assert len(emulator.backend.customer_lists()) == 2
    again = run_target([schema("email"), *people([2])], customer_list_name=CAFE, load_method=load_method)
    assert "which differs only" not in again.stderr


def test_a_dry_run_warns_too(emulator: Emulator, run_target: Target) -> None:
    emulator.backend.create_list("Customers")
    run = run_target([schema("email"), *people([1])], dry_run=True)
    assert "which differs only in case?" in run.stderr
    assert len(emulator.backend.customer_lists()) == 1


def test_similar_names_in_one_run_are_a_warning_before_either_list_exists(
    emulator: Emulator, run_target: Target
) -> None:
    rows = [record(id=n, email=address(n), segment=name) for n, name in enumerate(["Gold", "gold", "Silver", "Gold"])]
    run = run_target([schema("email", "segment"), *rows], load_method="upsert", list_name_column="segment")
    assert run.code == 0, run.stderr
    assert run.stderr.count("which differs only in case") == 1
    assert '"Gold" (also named in this run)' in run.stderr
    assert len(emulator.backend.customer_lists()) == 3


def test_a_stream_that_only_removes_gets_a_hint_about_the_list(emulator: Emulator, run_target: Target) -> None:
    made = emulator.backend.create_list("Customers")
    run = run_target([schema("email"), *people([1])], operation="remove", load_method="upsert")
    assert run.code == 2
    assert f'Did you mean "Customers" (id {made.id}), which differs only in case?' in run.stderr


def test_the_check_warns_before_the_first_run(emulator: Emulator, run_companion: Companion) -> None:
    emulator.backend.create_list("Customers")
    checked = run_companion("check", customer_list_name="customers")
    assert checked.code == 0, checked.stdout
    assert "! customer list: " in checked.stdout
    assert "which differs only in case?" in checked.stdout
