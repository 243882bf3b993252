"""The files themselves: pages show them as they are, schemas accept them, and they agree on what is retried."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from docgen.about import PAGES, REPOSITORY, about
from docgen.fences import all_pages
from docgen.included import shown_files, with_files
from tests.support.sync_folder import EXAMPLES

FILES = sorted(path for path in EXAMPLES.rglob("*") if path.is_file() and path.name != "README.md")
WORKFLOWS = [*(REPOSITORY / ".github" / "workflows").glob("*.yml"), EXAMPLES / "github-actions" / "pinterest.yml"]
CONTAINERS = EXAMPLES / "containers"


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_pages_show_the_files_as_they_are() -> None:
    for page in all_pages():
        text = page.read_text(encoding="utf-8")
        assert with_files(text) == text, f"{page}: call `python -m docgen {name_of(page)}`"


def test_every_file_is_shown_on_a_page_and_listed() -> None:
    shown = [file for page in all_pages() for file in shown_files(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == [name_of(path) for path in FILES]
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    linked = {(EXAMPLES / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", index)}
    assert all(path.exists() for path in linked)
    assert {path for path in FILES if not {path, path.parent} & linked} == set()


def test_no_block_is_written_outside_the_folder_of_its_page() -> None:
    titles = re.findall(r'title="([^"]+)"', "\n".join(page.read_text(encoding="utf-8") for page in all_pages()))
    assert len(titles) > 20
    assert [title for title in titles if title.startswith(("/", "..", "~"))] == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".sh"], ids=name_of)
def test_scripts_parse(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True, timeout=10)


def test_variables_in_the_files_belong_to_settings() -> None:
    settings = about()["settings"]["properties"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
    names = set(re.findall(r"TARGET_PINTEREST_AUDIENCE_([A-Z_]+)", text))
    assert len(names) > 7
    assert {name.lower() for name in names} <= settings.keys()


def test_those_that_could_lose_their_ledger_stop_without_it() -> None:
    compose = load(CONTAINERS / "compose.yml")["services"]["sync"]["environment"]
    (container,) = load(CONTAINERS / "cronjob.yml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    cronjob = {each["name"]: each["value"] for each in container["env"]}
    workflow = load(EXAMPLES / "github-actions" / "pinterest.yml")["jobs"]["sync"]["steps"][3]["env"]
    for variables in (compose, cronjob, workflow):
        assert variables["TARGET_PINTEREST_AUDIENCE_MISSING_LEDGER"] == "stop"
        assert variables["TARGET_PINTEREST_AUDIENCE_CUSTOMER_LIST_NAME"] == "Newsletter readers"
        assert variables["TARGET_PINTEREST_AUDIENCE_LOAD_METHOD"] == "overwrite"


def test_all_retry_after_the_exit_codes_that_the_page_names() -> None:
    page = (PAGES / "guides" / "schedulers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d, ]+) \| .+ \| (yes|no)", page, re.MULTILINE)
    named = {int(code): answer for codes, answer in rows for code in codes.split(", ")}
    assert named.keys() == set(range(1, 9))
    retried = sorted(code for code, answer in named.items() if answer == "yes")
    for example in ("airflow/pinterest_readers.py", "dagster/definitions.py"):
        text = (EXAMPLES / example).read_text(encoding="utf-8")
        assert f"RETRY_HELPS = {{{', '.join(map(str, retried))}}}" in text
    rules = load(CONTAINERS / "cronjob.yml")["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    (fails,) = [rule["onExitCodes"] for rule in rules if rule["action"] == "FailJob"]
    assert fails == {"operator": "NotIn", "values": [*retried, 128 + 9, 128 + 15]}


def test_containers_write_nowhere_but_to_tmp() -> None:
    compose = load(CONTAINERS / "compose.yml")["services"]["sync"]
    assert (compose["read_only"], compose["tmpfs"], compose["cap_drop"]) == (True, "/tmp", ["ALL"])  # noqa: S108
    pod = load(CONTAINERS / "cronjob.yml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert [each["mountPath"] for each in container["volumeMounts"]] == ["/tmp"]  # noqa: S108
    assert "STATE_FOLDER=/tmp" in (CONTAINERS / "Dockerfile").read_text()


def test_cron_starts_one_run_at_a_time_with_full_paths() -> None:
    lines = (EXAMPLES / "cron" / "pinterest").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]+=", line))
    assert variables.keys() == {"PATH", "MAILTO"}
    (job,) = [line for line in lines if re.match(r"\d", line)]
    *times, user, command = job.split(maxsplit=6)
    assert len(times) == 5
    assert user == "pinterest"
    assert command.startswith("flock --nonblock --conflict-exit-code 0 /")
    assert "%" not in command  # cron takes it for the end of the line
    (log,) = set(re.findall(r"/\S+\.log", command))
    assert f"{log} {{" in (EXAMPLES / "cron" / "logrotate.conf").read_text()


def tool(name: str, how: str = "pip install {}, in an environment of its own") -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on the PATH: {how.format(name)}")
    return found


def test_kubernetes_accepts_the_cron_job() -> None:
    program = tool("kubernetes-validate")
    subprocess.run([program, "--strict", CONTAINERS / "cronjob.yml"], check=True, timeout=60)


def test_compose_accepts_its_file() -> None:
    check_schema("compose-spec", CONTAINERS / "compose.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_github_accepts_the_workflows(path: Path) -> None:
    check_schema("github-workflows", path)


def check_schema(schema: str, path: Path) -> None:
    program = tool("check-jsonschema")
    subprocess.run([program, "--builtin-schema", f"vendor.{schema}", path], check=True, timeout=60)


def test_logrotate_accepts_its_file(tmp_path: Path) -> None:
    program = tool("logrotate", "apt-get install {}")
    (tmp_path / "log").mkdir()
    text = (EXAMPLES / "cron" / "logrotate.conf").read_text()
    text = text.replace("/srv/pinterest", str(tmp_path)).replace("pinterest pinterest", "root root")
    (tmp_path / "conf").write_text(text)
    done = subprocess.run(
        [program, "--debug", "--state", tmp_path / "state", tmp_path / "conf"],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    assert "error" not in done.stderr
