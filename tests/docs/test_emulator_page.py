"""The page about the emulator says everything, and its examples work."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from target_pinterest_audience.emulator import Fault, Settings
from target_pinterest_audience.emulator.command import emulator as emulator_command

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_every_option_setting_and_field_is_explained() -> None:
    options = [name for option in emulator_command.params for name in option.opts]
    names = [*options, *(each.name for each in (*fields(Settings), *fields(Fault)))]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("example", examples("json"))
def test_each_example_of_a_fault_is_valid(example: str) -> None:
    assert Fault.from_json(json.loads(example))


def test_the_python_example_runs() -> None:
    (example,) = examples("python")
    exec(compile(example, "docs/emulator.md", "exec"), {})  # noqa: S102 - our own page
