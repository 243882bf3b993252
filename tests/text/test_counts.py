"""Counts agree with their nouns."""

from __future__ import annotations

import re
from pathlib import Path

import target_pinterest_audience
from target_pinterest_audience.text.counts import identities, several
from tests.support.messages import people, schema
from tests.support.processes import Companion, Target

PACKAGE = Path(target_pinterest_audience.__file__).parent
# A count, then a noun in the plural; "3 of 1,000 values" is no such thing.
ALONE = re.compile(
    r"(?<!of )(?<!Of the )\{[^{}]*:,(?:\.0f)?\} (?:identities|rows|values|requests|lists|days|hours|people)\b"
)


def test_one_has_the_singular() -> None:
    assert [identities(count) for count in (0, 1, 2, 2000)] == [
        "0 identities",
        "1 identity",
        "2 identities",
        "2,000 identities",
    ]
    assert several(1, "row is", "rows are") == "1 row is"


def test_every_noun_in_a_message_agrees_with_its_count() -> None:
    found = {path.name: ALONE.findall(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    assert {name: messages for name, messages in found.items() if messages} == {}


def test_messages_about_one_person_are_in_the_singular(run_target: Target, run_companion: Companion) -> None:
    run = run_target([schema("email"), *people([1])], load_method="upsert")
    assert "customers: 1 row; 1 value (1 to add)" in run.stderr
    assert "sent 1 identity to add, 0 to remove" in run.stderr
    forgotten = run_companion("forget", "--email", "person1@example.com", "--yes", load_method="upsert")
    assert "1 identity is suppressed" in forgotten.stdout
