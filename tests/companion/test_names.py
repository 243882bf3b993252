"""Names on the command line: of lists, audiences, sources and commands, right and misspelt."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from target_pinterest_audience.companion import options
from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.companion.options import confirm
from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.text.near import nearest, nearest_or_longer
from tests.support.messages import people, schema
from tests.support.processes import Companion, Target

NAMES = ["Newsletter readers", "VIP", "Lapsed 2024", "Lapsed 2025"]


@pytest.mark.parametrize(
    ("name", "near"), [("vip", "VIP"), ("VPI", "VIP"), ("newsletter reader", "Newsletter readers"), ("zzz", None)]
)
def test_the_nearest_name_ignores_case_and_slips(name: str, near: str | None) -> None:
    assert nearest(name, NAMES) == near


@pytest.mark.parametrize(("name", "near"), [("letter", "Newsletter readers"), ("2", None), ("", None)])
def test_a_part_of_one_name_is_near_to_it(name: str, near: str | None) -> None:
    assert nearest_or_longer(name, NAMES) == near


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("list", "There is no command `list`. Did you mean `lists`?"),
        ("audiences shwo 1", "There is no command `shwo`. Did you mean `show`?"),
        ("lists VIP", "There is no command `VIP`. `pinterest-audience lists show` shows the one whose id or name"),
        ("xyzzy", "There is no command `xyzzy`. `pinterest-audience --help` shows all commands."),
    ],
)
def test_a_misspelt_command_gets_a_hint(command: str, hint: str) -> None:
    done = CliRunner().invoke(cli, command.split(), prog_name="pinterest-audience")
    assert (done.exit_code, hint in done.output) == (2, True), done.output


class TestAudiences:
    def test_lists_and_audiences_have_names(self, emulator: Emulator, run_companion: Companion) -> None:
        made = emulator.backend.create_list("Newsletter", ["a" * 64])
        assert run_companion("audiences", "create", "--list", "Newsletter", "--name", "Readers").code == 0
        (audience,) = emulator.backend.audiences()
        for which in ("Readers", audience.id):
            assert json.loads(run_companion("audiences", "show", which, "--json").stdout)["id"] == audience.id
        assert run_companion("audiences", "rename", "Readers", "--name", "Fans").code == 0
        arguments = ("--seed", "Fans", "--country", "gb", "--percentage", "2")
        assert run_companion("audiences", "lookalike", *arguments).code == 0
        (call,) = [each for each in emulator.backend.calls if each.method == "POST"][1:]
        assert call.request is not None
        assert call.request["rule"] == {"seed_id": [audience.id], "country": "GB", "percentage": 2}
        assert run_companion("segments", "create", "--name", "Customers", "--audience", "Fans").code == 0
        (segment,) = json.loads(run_companion("segments", "--json").stdout)
        assert segment["audience_ids"] == [audience.id]
        misspelt = run_companion("segments", "delete", "Custmers", "--yes")
        assert (misspelt.code, 'Did you mean "Customers"?' in misspelt.stderr) == (2, True)
        assert run_companion("segments", "delete", "Customers", "--yes").code == 0
        assert run_companion("audiences", "delete", "Fans", "--yes", "--in-use").code == 0
        assert [each.name for each in emulator.backend.customer_lists()] == [made.name]

    def test_a_list_in_place_of_its_audience_is_explained(self, emulator: Emulator, run_companion: Companion) -> None:
        made = emulator.backend.create_list("Newsletter", ["a" * 64])
        arguments = ("audiences", "lookalike", "--country", "US", "--percentage", "1", "--seed")
        for which in ("Newsletter", made.id):
            refused = run_companion(*arguments, which)
            assert refused.code == 2
            assert f'This is the customer list "Newsletter" (id {made.id}), and the command needs' in refused.stderr
            assert f"create one with `pinterest-audience audiences create --list {made.id}`." in refused.stderr
        audience = emulator.backend.create_audience("Readers", made.id)
        refused = run_companion("segments", "create", "--name", "Customers", "--audience", made.id)
        assert f"Give the id of its audience: {audience.id}." in refused.stderr
        for command in (("lists", "show"), ("audiences", "create", "--name", "Fans", "--list")):
            for which in ("Readers", audience.id):
                refused = run_companion(*command, which)
                assert refused.code == 2
                assert f'This is the audience "Readers" (id {audience.id}), and the command needs' in refused.stderr
                assert f"Give the id of its list: {made.id}." in refused.stderr

    def test_a_name_that_two_have_is_refused_with_their_ids(self, emulator: Emulator, run_companion: Companion) -> None:
        made = emulator.backend.create_list("Newsletter", ["a" * 64])
        ids = [emulator.backend.create_audience("Readers", made.id).id for _ in range(2)]
        refused = run_companion("audiences", "delete", "Readers", "--yes")
        assert refused.code == 2
        assert f"Several audiences have that name (ids {', '.join(ids)}). Give the id." in refused.stderr

    @pytest.mark.parametrize("country", ["UK", "USA", ""])
    def test_the_country_of_a_lookalike_is_checked(self, run_companion: Companion, country: str) -> None:
        refused = run_companion("audiences", "lookalike", "--seed", "1", "--country", country, "--percentage", "1")
        assert refused.code == 2
        assert "The code of the United Kingdom is GB" in " ".join(refused.stderr.split())


def test_misspelt_lists_and_sources_get_a_suggestion(run_target: Target, run_companion: Companion) -> None:
    settings = {"customer_list_name": "Newsletter readers", "load_method": "upsert"}
    assert run_target([schema("email"), *people(range(3))], **settings).code == 0
    for command in ("lists show", "report --list", "clear --list", "ledger reset --list", "audiences show"):
        refused = run_companion(*command.split(), "newsleter readers", **settings)
        assert (refused.code, 'Did you mean "Newsletter readers"?' in refused.stderr) == (2, True), refused.stderr
    refused = run_companion("ledger", "find", "--source", "customer", "--key", "id=1", **settings)
    assert 'Did you mean "customers"?' in refused.stderr


def test_the_answer_no_does_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def ask() -> None:
        confirm("Delete it?", yes=False)
        click.echo("deleted")

    monkeypatch.setattr(options, "is_terminal", lambda: True)
    answered = CliRunner().invoke(ask, input="n\n")
    assert (answered.exit_code, answered.output) == (2, "Delete it? [y/N]: n\nNothing was done.\n")


@pytest.mark.parametrize(
    ("words", "completed"), [("li", "lists"), ("ledger sh", "show"), ("report --rem", "--removals")]
)
def test_the_shell_completes_commands_and_options(words: str, completed: str) -> None:
    program = (
        "import sys; from target_pinterest_audience.companion.main import main; sys.argv[0] = 'pinterest-audience'; "
        "main()"
    )
    variables = {
        "_PINTEREST_AUDIENCE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"pinterest-audience {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [f"plain,{completed}"]
