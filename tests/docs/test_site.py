"""The documentation as a whole: what it names exists, what it shows can be read, and every page can be found."""

from __future__ import annotations

import ast
import functools
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
import yaml

from docgen.about import PAGES, REPOSITORY, about
from docgen.fences import Fence, all_pages, pages_in_order, parse
from target_pinterest_audience.companion.main import cli
from target_pinterest_audience.settings.load import resolve_settings

README = REPOSITORY / "README.md"
PLUGINS = ("target-pinterest-audience", "pinterest-audience")
END_OF_A_COMMAND = frozenset({"|", "&&", "||", ";", ">", ">>", "2>", "2>&1", "<"})


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def fences(language: str) -> list[Any]:
    """Return the blocks of a language, each as a parameter of a test."""
    return [
        pytest.param(fence, id=f"{name_of(page)}:{fence.first}")
        for page in [*all_pages(), README]
        for fence in parse(text_of(page))
        if fence.language == language
    ]


def named_tests(text: str) -> list[tuple[str, str]]:
    """Return the tests that a text names: file and function."""
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(?:\w+::)?(\w+))?`", text)


@functools.cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))


@functools.cache
def setting_names() -> frozenset[str]:
    return frozenset(about()["settings"]["properties"])


def commands(text: str) -> Iterator[list[str]]:
    """Yield the calls of the companion in a text: the words behind its name."""
    pieces = [fence.text for fence in parse(text)]
    pieces += re.findall(r"`([^`\n]+)`", text)
    for line in "\n".join(pieces).splitlines():
        for found in re.finditer(r"(?<![\w/.-])pinterest-audience(?= [a-z-]|$) ?(.*)", line):
            words = shlex.split(re.sub(r"['`]|#.*", " ", found[1]).rstrip("\\ "), posix=False)
            ends = [at for at, word in enumerate(words) if word.rstrip(";") != word or word in END_OF_A_COMMAND]
            yield [word.rstrip(";") for word in words[: (ends or [len(words)])[0] + bool(ends)]]


def known(words: list[str]) -> bool:
    """Tell whether the companion has such a command with such options."""
    command: click.Command = cli
    for word in words:
        if word.startswith("--") and word not in {"--help", "--version"}:
            if word.split("=")[0] not in {name for each in command.params for name in each.opts}:
                return False
        elif isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return word in END_OF_A_COMMAND or command is not cli
            command = found
    return True


def test_the_checks_find_enough_pages_and_examples() -> None:
    # The tests below find what they look at by patterns; these are no reason to find nothing.
    assert len(fences("json")) > 15
    assert len(fences("yaml")) > 5
    assert len([call for page in all_pages() for call in commands(text_of(page))]) > 50
    assert not known(["prunes"])
    assert not known(["prune", "--all"])
    assert not known(["lists", "show", "x", "--confg", "y"])


def test_the_site_makes_no_request_to_third_parties() -> None:
    # The theme loads fonts from Google, Mermaid from a CDN, and figures on the repository from GitHub.
    config = (REPOSITORY / "zensical.toml").read_text(encoding="utf-8")
    assert re.search(r"^font = false", config, re.MULTILINE)
    assert not re.search(r"^repo_url", config, re.MULTILINE)
    assert [fence for page in all_pages() for fence in parse(text_of(page)) if "mermaid" in str(fence)] == []


def test_every_page_is_in_the_navigation() -> None:
    assert sorted(pages_in_order()) == all_pages()


def test_the_readme_is_short_and_has_the_words_that_people_search_for() -> None:
    text = text_of(README)
    assert len(text.splitlines()) <= 150
    words = ["reverse ETL", "audience sync", "Hightouch", "Census", "RudderStack", "Snowflake", "BigQuery", "dbt"]
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("page", sorted(PAGES.rglob("*.svg")), ids=name_of)
def test_pictures_load_nothing_and_have_a_title(page: Path) -> None:
    picture = ET.parse(page).getroot()  # noqa: S314 - our own file
    names = [each.tag.rpartition("}")[2] for each in picture.iter()]
    assert "title" in names
    assert not {"script", "image", "foreignObject"} & set(names)
    assert not re.search(r"@import|@font-face|url\((?!#)|href=\"(?!#)", text_of(page))


@pytest.mark.parametrize("page", [*all_pages(), README], ids=name_of)
def test_links_lead_to_existing_pages_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        place, _, anchor = target.partition("#")
        if "://" in place:
            continue
        linked = (page.parent / place).resolve() if place else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def anchors(page: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", [*all_pages(), README], ids=name_of)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    for file, function in named_tests(text_of(page)):
        assert (REPOSITORY / file).exists(), file
        assert not function or function in functions_of(file), f"{file}::{function}"


@pytest.mark.parametrize("page", sorted((PAGES / "promises").glob("*.md")), ids=name_of)
def test_each_promise_has_an_explanation_a_demonstration_and_tests(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", text_of(page), re.MULTILINE)
    assert headings == ["How it is kept", "See for yourself", "What guards it"]
    assert re.search(r"^> \*\*", text_of(page), re.MULTILINE)
    assert len([each for each in named_tests(text_of(page)) if each[1]]) >= 3


def test_there_are_seven_promises() -> None:
    assert len(list((PAGES / "promises").glob("*.md"))) == 7


def test_each_line_about_another_product_names_a_test() -> None:
    rows = re.findall(r"^\| (?!there )(.+) \|$", text_of(PAGES / "coming-from.md"), re.MULTILINE)
    assert len(rows) > 30
    for row in rows:
        _, here, test = row.split(" | ")
        assert here
        assert named_tests(test), row
    products = re.findall(r"^## (\w+)", text_of(PAGES / "coming-from.md"), re.MULTILINE)
    assert products[:5] == ["DataChannel", "Adobe", "InfoSum", "Treasure", "Meiro"]


def test_each_report_from_elsewhere_has_a_link_and_names_a_test() -> None:
    rows = re.findall(r"^\| (?!reported )(.+) \|$", text_of(PAGES / "elsewhere.md"), re.MULTILINE)
    assert len(rows) > 20
    for row in rows:
        reported, here, test = row.split(" | ")
        assert re.search(r"\]\(https://[^)]+\)", reported), row
        assert here
        assert [function for _, function in named_tests(test) if function], row


@pytest.mark.parametrize("page", [*all_pages(), README], ids=name_of)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    assert [" ".join(words) for words in commands(text_of(page)) if not known(words)] == []


def test_commands_called_through_meltano_are_declared() -> None:
    project = yaml.safe_load((REPOSITORY / "meltano.yml").read_text(encoding="utf-8"))
    (utility,) = project["plugins"]["utilities"]
    texts = [text_of(page) for page in [*all_pages(), README]]
    called = {name for text in texts for name in re.findall(r"pinterest-audience(?:--\w+)?:([\w-]+)", text)}
    assert "prune" in called
    assert called <= utility["commands"].keys()


def test_each_setting_is_explained_somewhere_besides_its_reference() -> None:
    texts = [text_of(page) for page in all_pages() if page.name not in {"settings.md", "commands.md"}]
    sdks = {"faker_config", "stream_map_config", "add_record_metadata", "validate_records"}
    everything = "\n".join([*texts, text_of(README)])
    unexplained = [name for name in setting_names() if name not in everything]
    assert set(unexplained) <= sdks | {name for name in setting_names() if name.startswith("flattening")}


@pytest.mark.parametrize("fence", fences("json"))
def test_json_examples_parse_and_use_existing_settings(fence: Fence) -> None:
    for document in [fence.text] if fence.text.startswith("{\n") else fence.text.splitlines():
        value = json.loads(document)
        if "ad_account_id" in value:
            resolve_settings(value)


@pytest.mark.parametrize("fence", [*fences("yaml"), *fences("yml")])
def test_yaml_examples_parse_and_use_existing_settings(fence: Fence) -> None:
    content = yaml.safe_load(fence.text)
    assert isinstance(content, dict)
    plugins = [each for kind in content.get("plugins", {}).values() for each in kind]
    ours = [each for each in plugins if each["name"].split("--")[0] in PLUGINS]
    configured = [each["config"] for each in ours if "config" in each]
    configured += [content["config"]] if "config" in content else []
    for config in configured:
        assert config.keys() <= setting_names()
        for overrides in config.get("streams", {}).values():
            assert overrides.keys() <= setting_names()


def test_variables_belong_to_settings() -> None:
    for page in [*all_pages(), README]:
        for name in re.findall(r"TARGET_PINTEREST_AUDIENCE_([A-Z_]+[A-Z])(?=[=:])", text_of(page)):
            # A secret may be in a file.
            assert name.lower().removesuffix("_file") in {*setting_names(), "credentials"} or name in {
                "CONSENT_COLUM",
                "BATCH_SIZE",
            }, (page, name)


@pytest.mark.parametrize("fence", fences("python"))
def test_python_examples_parse(fence: Fence) -> None:
    compile(fence.text, "example", "exec")


@pytest.mark.parametrize("fence", fences("sh"))
def test_shell_examples_parse(fence: Fence) -> None:
    done = subprocess.run(["bash", "-n"], input=fence.text, capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == 0, done.stderr


def test_quoted_log_messages_exist_in_the_program() -> None:
    modules = (REPOSITORY / "target_pinterest_audience").rglob("*.py")
    said = re.sub(r'"\s+f?"', "", "\n".join(text_of(module) for module in modules))
    quoted = re.findall(r'\*"([^"]+)"\*', text_of(PAGES / "guides" / "troubleshooting.md"))
    assert len(quoted) >= 2
    assert [words for words in quoted if words not in said] == []
