"""Every command prints with `--json` what the documentation says. `run_companion` compares it in other tests, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from docgen.commands_page import contexts
from docgen.json_page import json_schemas, schema_of
from docgen.json_words import SHAPES, VOCABULARY
from target_pinterest_audience.companion.main import cli
from tests.support.json_output import assert_valid, name_of
from tests.support.messages import address, deleted, people, record, schema
from tests.support.processes import Companion, Target, lines

LIST = "customers"
SETTINGS: dict[str, Any] = {"customer_list_name": LIST, "load_method": "overwrite", "max_removal_percent": 100}
ALERTS = {"notify_urls": ["json://127.0.0.1:9/"]}
COLUMNS = schema("email", "_sdc_deleted_at")

Printed = Callable[..., Any]


@pytest.fixture
def seen() -> set[str]:
    """The commands whose output was compared."""
    return set()


@pytest.fixture
def printed(run_companion: Companion, seen: set[str]) -> Printed:
    """What a command prints with `--json`."""

    def run(*arguments: str, code: int = 0, **settings: Any) -> Any:
        done = run_companion(*arguments, "--json", **{**SETTINGS, **settings})
        assert done.code == code, done.stderr
        seen.add(assert_valid(arguments, done.stdout))
        return json.loads(done.stdout)

    return run


def test_every_command_with_json_has_a_schema() -> None:
    with_json = {
        context.command_path.removeprefix("pinterest-audience ")
        for context in contexts("pinterest-audience", cli)
        if any("--json" in each.opts for each in context.command.params)
    }
    assert with_json == {name.partition(" --")[0] for name in SHAPES}


def test_every_word_is_used_and_is_in_snake_case() -> None:
    used = {word for shape in SHAPES.values() for word in _words(schema_of(shape))}
    containers = {name for shape in SHAPES.values() for name in _nested(shape.nested)}
    assert used - containers == set(VOCABULARY)
    assert all(word.islower() and word.replace("_", "").isalpha() for word in used)


def _words(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        return set(schema.get("properties", ())).union(*map(_words, schema.values()))
    return set()


def _nested(nested: Any) -> set[str]:
    return set(nested).union(*(_nested(each.nested) for each in nested.values()))


def test_the_schemas_are_schemas() -> None:
    for each in json.loads(json_schemas())["$defs"].values():
        Draft202012Validator.check_schema(each)


def test_a_command_is_named_by_its_words_and_the_options_that_matter() -> None:
    assert name_of(["lists", "show", "alerts"]) == "lists show"
    assert name_of(["audiences", "--json"]) == "audiences"
    assert name_of(["check", "--rows=7"]) == "check --rows"
    assert name_of(["report", "--list", "show"]) == "report"


def test_what_every_command_prints(run_target: Target, printed: Printed, seen: set[str], tmp_path: Path) -> None:
    bad = record(id=900, email="no address")
    assert run_target([COLUMNS, *people(range(120)), bad], **SETTINGS).code == 0
    assert run_target([COLUMNS, *people(range(2, 119)), deleted(1)], **SETTINGS).code == 0
    assert printed("prune")["lists"][0]["causes"] == {"prune": 2}
    assert run_target(lines([COLUMNS]) + b"{", **SETTINGS, **ALERTS).code == 8
    assert printed("alerts", "--dry-run", **ALERTS)
    assert printed("alerts", "--test", code=1, **ALERTS)

    report = printed("report")
    assert all(report[each] for each in ("lists", "runs", "removals"))
    assert printed("status")["newest_run"]["exit_code"] == 8
    assert printed("ledger", "show")["runs"]
    assert printed("ledger", "find", "--source", "customers", "--key", "id=5")["statements"]
    assert printed("ledger", "find", "--email", address(5))[0]["lists"]
    assert printed("lists")[0]["uploaded"] == 120
    assert printed("lists", "show", LIST)["sources"] == ["customers"]
    assert printed("check")
    assert printed("check", "--rows", "1000")

    assert printed("audiences")
    made = printed("audiences", "create", "--list", LIST, "--name", "Buyers")
    printed("audiences", "rename", made["id"], "--name", "Fans")
    like = printed("audiences", "lookalike", "--seed", "Fans", "--country", "US", "--percentage", "1")["id"]
    segment = printed("segments", "create", "--name", "Known", "--audience", "Fans")["id"]
    assert printed("audiences", "show", "Fans")["uses"]
    printed("segments", "update", segment, "--add", like)
    assert printed("segments", "--sizing")
    printed("segments", "delete", segment, "--yes")
    printed("audiences", "delete", "Fans", "--yes")

    assert printed("forget", "--email", address(7), "--yes")["lists"]
    assert printed("readmit", "--email", address(7), "--yes")["lifted"]
    assert printed("ledger", "reset", "--dry-run")["lists"]
    assert printed("ledger", "expire", "--older-than", "1", "--yes")["deleted_runs"] == 0
    assert printed("clear", "--yes")["removed"] == 116
    assert len(printed("ledger", "audit")) == 5
    assert printed("ledger", "backup", f"{tmp_path}/backup.db")["pending"] == 0
    # `forget --also` needs two ad accounts, `login` needs a browser, and `probe` breaks rules on purpose: they have
    # tests of their own.
    assert seen == set(SHAPES) - {"forget --also", "login", "login --print", "probe"}
