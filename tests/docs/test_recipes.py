"""The recipes for real taps: run with the page's settings on an invented stream of exactly the tap's shape.

The addresses in a stream tell what must become of them: `in.*` is on the list from the first runs on, `joins.*` from
the later ones on, `leaves.*` only after the first, and `never.*` never.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docgen.about import PAGES
from docgen.fences import parse
from target_pinterest_audience.emulator import Emulator
from tests.support.account import members
from tests.support.messages import sha256
from tests.support.processes import Companion, Target

PAGE = (PAGES / "guides" / "recipes.md").read_text(encoding="utf-8")
STREAMS = Path(__file__).parent / "recipes"
SETTINGS: dict[str, dict[str, Any]] = {
    fence.title.removesuffix(".json"): json.loads(fence.text) for fence in parse(PAGE) if fence.title
}
PRUNE = "prune --full-table"
RUNS = {
    "hubspot": (["first"], ["then", PRUNE]),
    "klaviyo": (["first-exclusions", "first-profiles"], ["then-exclusions", "then-profiles", PRUNE]),
    "shopify": (["first"], ["then", PRUNE]),
    "mailchimp": (["first"], ["then", PRUNE]),
    "stripe": (["first"], ["then"]),
    "salesforce": (["first"], ["then"]),
    "mongodb": (["first-changes", "first-all"], ["then-changes"]),
    "mysql": (["first"], ["then"]),
    "csv": (["first"], ["then", "prune"]),
}
"""What is run of each recipe, at first and then: the names of streams, and commands of the companion."""

EXPECTED_CODES = {("klaviyo", "first-exclusions"): 2}


def stream(recipe: str, name: str) -> str:
    return (STREAMS / recipe / f"{name}.singer").read_text(encoding="utf-8")


def identities(text: str, *fates: str) -> set[str]:
    return {sha256(found[0]) for found in re.finditer(r"([a-z]+)\.[\w-]+@example\.com", text) if found[1] in fates}


def section(recipe: str) -> str:
    """Return the page's section on a source."""
    (found,) = [each for each in re.split(r"^## ", PAGE, flags=re.MULTILINE) if f'title="{recipe}.json"' in each]
    return found


def test_every_recipe_is_run() -> None:
    assert SETTINGS.keys() == RUNS.keys()
    assert all(settings["customer_list_name"] for settings in SETTINGS.values())


@pytest.mark.parametrize("validate", [True, False], ids=["validated", "as-it-is"])
@pytest.mark.parametrize("recipe", RUNS)
def test_a_recipe_puts_the_right_people_on_the_list(
    emulator: Emulator, run_target: Target, run_companion: Companion, recipe: str, *, validate: bool
) -> None:
    settings = {"load_method": "upsert", **SETTINGS[recipe], "validate_records": validate}
    seen = ""
    for steps, fates in zip(RUNS[recipe], [("in", "leaves"), ("in", "joins")], strict=True):
        for step in steps:
            if step.startswith("prune"):
                run = run_companion(*step.split(), **settings)
            else:
                seen += stream(recipe, step)
                run = run_target(stream(recipe, step), **settings)
            assert run.code == EXPECTED_CODES.get((recipe, step), 0), run.stderr
            assert "nobody consents" not in run.stderr
        assert members(emulator, settings["customer_list_name"]) == identities(seen, *fates)
    assert identities(seen, "in")
    assert identities(seen, "leaves")
    assert identities(seen, "never")


@pytest.mark.parametrize("recipe", RUNS)
def test_a_recipe_names_its_streams_and_keys(recipe: str) -> None:
    for name in {step for steps in RUNS[recipe] for step in steps if not step.startswith("prune")}:
        for message in map(json.loads, stream(recipe, name).splitlines()):
            if message["type"] == "SCHEMA":
                for each in (message["stream"], *message["key_properties"]):
                    assert f"`{each}`" in section(recipe)


def test_an_opt_out_named_as_consent_lets_the_wrong_people_in(emulator: Emulator, run_target: Target) -> None:
    contacts, _, _ = stream("salesforce", "first").partition('{"type": "SCHEMA", "stream": "Lead"')
    wrong = {**SETTINGS["salesforce"], "consent_column": "HasOptedOutOfEmail", "stream_maps": None}
    assert run_target(contacts, **wrong).code == 0
    assert members(emulator, wrong["customer_list_name"]) == {sha256("never.opted-out@example.com")}


def test_klaviyos_profiles_do_not_hold_the_answer(run_target: Target) -> None:
    consent = "attributes.subscriptions.email.marketing.consent"
    settings = {**SETTINGS["klaviyo"], "consent_column": consent, "streams": {"profiles": {}}}
    mapped = {**settings, "identity_columns": {"attributes.email": "EMAIL"}, "load_method": "upsert"}
    run = run_target(stream("klaviyo", "first-profiles"), **mapped)
    assert "profiles: 6 rows; 5 values (5 refused)" in run.stderr


def test_shopifys_state_of_consent_needs_no_stream_map(emulator: Emulator, run_target: Target) -> None:
    plain = {**SETTINGS["shopify"], "consent_column": "emailMarketingConsent.marketingState", "stream_maps": None}
    assert run_target(stream("shopify", "first"), **plain).code == 0
    unasked = {"never.pending@example.com", "never.asked@example.com"}
    everyone = identities(stream("shopify", "first"), "in", "leaves", "never")
    assert members(emulator, plain["customer_list_name"]) == everyone - {sha256(each) for each in unasked}
