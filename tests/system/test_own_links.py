"""Which symbolic links are followed to a file that is written: one's own, and no stranger's in a shared folder."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from target_pinterest_audience.companion.commands.report import report
from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.errors import ConfigurationError
from target_pinterest_audience.ledger.open import open_ledger
from target_pinterest_audience.pinterest.token_store import CredentialsFile
from target_pinterest_audience.reporting.metrics.metrics_file import MetricsFile
from target_pinterest_audience.reporting.rejects_file import RejectsFile
from target_pinterest_audience.reporting.report_file import ReportFile, RunReport, moment
from target_pinterest_audience.system.private_files import replace
from target_pinterest_audience.system.symlinks import ForeignFileError, open_anew, resolve
from tests.support.account import ACCOUNT
from tests.support.client import OAUTH, credentials
from tests.support.ledgers import API
from tests.support.messages import people, record, schema
from tests.support.processes import Target

STRANGER = 54_321


@pytest.fixture
def belongs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Let a link or a file be a stranger's, also where only root could give it away."""
    theirs: set[Path] = set()
    really = Path.lstat

    def lstat(path: Path) -> os.stat_result:
        found = really(path)
        owner = STRANGER if path in theirs else found.st_uid
        return os.stat_result((*found[:4], owner, *found[5:10]))

    monkeypatch.setattr(Path, "lstat", lstat)

    def belong(path: Path) -> Path:
        theirs.add(path)
        return path

    return belong


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that everybody can write to, as /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_the_users_own_links_are_followed(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (shared / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "report.json").symlink_to("../real/newest.json")
    replace(shared / "folder" / "report.json", b"1")
    assert (tmp_path / "real" / "newest.json").read_bytes() == b"1"
    assert (shared / "folder" / "report.json").is_symlink()


def test_links_that_lead_in_a_circle_are_an_error(shared: Path) -> None:
    (shared / "a").symlink_to("b")
    (shared / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        resolve(shared / "a")


def test_two_dots_are_resolved_after_the_link(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/er")
    assert resolve(tmp_path / "link" / ".." / "file") == tmp_path / "deep" / "file"


@pytest.mark.parametrize("write", [lambda path: replace(path, b"1"), open_anew])
def test_another_users_link_in_place_of_the_file_is_refused(
    shared: Path, tmp_path: Path, belongs: Callable[[Path], Path], write: Callable[[Path], Any]
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    belongs(shared / "report.json").symlink_to(precious)
    with pytest.raises(ForeignFileError, match=r"report\.json is a symbolic link of another user"):
        write(shared / "report.json")
    assert precious.read_text() == "precious"


def test_another_users_link_in_place_of_a_folder_is_refused_if_the_folder_is_shared(
    shared: Path, tmp_path: Path, belongs: Callable[[Path], Path]
) -> None:
    (tmp_path / "real").mkdir()
    belongs(shared / "folder").symlink_to(tmp_path / "real")
    with pytest.raises(ForeignFileError, match="folder is a symbolic link of another user"):
        replace(shared / "folder" / "report.json", b"1")
    assert list((tmp_path / "real").iterdir()) == []


def test_another_users_file_in_a_shared_folder_is_not_written(shared: Path, belongs: Callable[[Path], Path]) -> None:
    belongs(shared / "rejects.jsonl").write_text("theirs")
    with pytest.raises(ForeignFileError, match=r"rejects\.jsonl is a file of another user"):
        open_anew(shared / "rejects.jsonl")
    assert (shared / "rejects.jsonl").read_text() == "theirs"


def sign_in(emulator: Emulator, folder: Path) -> str:
    """Exchange a refresh token, and store the next one in `credentials.json` of a folder."""
    return credentials(emulator, folder, access_token=None, **OAUTH).access_token()


@pytest.mark.parametrize("is_there", [True, False])
def test_no_refresh_token_is_spent_if_it_would_go_through_another_users_link(
    emulator: Emulator, shared: Path, tmp_path: Path, belongs: Callable[[Path], Path], *, is_there: bool
) -> None:
    if is_there:
        (tmp_path / "theirs").write_text("")
    belongs(shared / "credentials.json").symlink_to(tmp_path / "theirs")
    with pytest.raises(
        ConfigurationError, match=r"credentials\.json is a symbolic link of another user.*`credentials_f"
    ):
        sign_in(emulator, shared)
    assert emulator.backend.calls == []
    assert {path.name for path in tmp_path.iterdir()} == {"shared", "theirs"} if is_there else {"shared"}


def test_no_refresh_token_is_spent_if_it_would_go_to_another_users_file_in_a_shared_folder(
    emulator: Emulator, shared: Path, belongs: Callable[[Path], Path]
) -> None:
    belongs(shared / "credentials.json").write_text("")
    with pytest.raises(
        ConfigurationError, match=r"another user could read .*credentials\.json is a file of another user"
    ):
        sign_in(emulator, shared)
    assert emulator.backend.calls == []
    assert [path.name for path in shared.iterdir()] == ["credentials.json"]


def test_no_refresh_token_is_spent_if_it_would_go_to_another_users_folder_in_a_shared_one(
    emulator: Emulator, shared: Path, belongs: Callable[[Path], Path]
) -> None:
    (belongs(shared / "theirs") / "deep").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"theirs is a folder of another user"):
        sign_in(emulator, shared / "theirs" / "deep")
    assert emulator.backend.calls == []


def test_a_refresh_token_is_stored_in_another_users_file_in_a_folder_that_only_its_owner_writes_to(
    emulator: Emulator, tmp_path: Path, belongs: Callable[[Path], Path]
) -> None:
    belongs(tmp_path / "credentials.json").write_text("")
    assert sign_in(emulator, tmp_path)
    assert "refresh_tokens" in (tmp_path / "credentials.json").read_text()


def test_a_refresh_token_is_stored_in_another_users_file_that_is_mounted_in_a_shared_folder(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file that is mounted by itself is on another device than its folder.
    file = shared / "credentials.json"
    file.write_text("")
    look, status = Path.lstat, os.fstat

    def mounted(found: os.stat_result) -> os.stat_result:
        return os.stat_result((*found[:2], found.st_dev + 1, found[3], STRANGER, *found[5:10]))

    monkeypatch.setattr(Path, "lstat", lambda path: mounted(look(path)) if path == file else look(path))
    monkeypatch.setattr(os, "fstat", lambda number: mounted(status(number)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fchown", lambda *_: None)
        CredentialsFile(file).keep("new", "a")
    assert "new" in file.read_text()


def test_links_as_kubernetes_makes_them_lead_to_the_credentials_file(emulator: Emulator, shared: Path) -> None:
    (shared / "..2026").mkdir()
    (shared / "..2026" / "credentials.json").write_text("")
    (shared / "..data").symlink_to("..2026")
    (shared / "credentials.json").symlink_to("..data/credentials.json")
    assert sign_in(emulator, shared)
    assert "refresh_tokens" in (shared / "..2026" / "credentials.json").read_text()


def test_a_file_is_created_anew_and_private(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    path.write_text("of the run before")
    path.chmod(0o644)
    os.close(open_anew(path))
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("", 0o600)


def test_a_run_writes_its_files_through_the_users_own_links(run_target: Target, shared: Path) -> None:
    for name in ("report", "rejects"):
        (shared / name).symlink_to(f"{name}.real")
    stream = [schema("email"), *people([1]), record(id=2, email="nobody")]
    run = run_target(stream, report_path=str(shared / "report"), rejects_path=str(shared / "rejects"))
    assert run.code == 0, run.stderr
    assert json.loads((shared / "report.real").read_text())["exit_code"] == 0
    assert len((shared / "rejects.real").read_text().splitlines()) == 1


def test_rejects_may_go_to_standard_error(run_target: Target) -> None:
    run = run_target([schema("email"), record(id=2, email="nobody")], rejects_path="/dev/stderr")
    assert run.code == 0, run.stderr
    assert '"column":"email"' in run.stderr


def write_page(path: Path) -> None:
    """Write the page of a ledger without runs, as `pinterest-audience report` does."""
    folder = path.parent.parent
    url = f"sqlite:///{folder}/ledger.db"
    open_ledger(url, API, ACCOUNT, wait_seconds=0).close()
    config = {"ad_account_id": ACCOUNT, "access_token": "x", "api_url": API, "ledger_url": url}
    (folder / "config.json").write_text(json.dumps(config))
    done = CliRunner().invoke(report, ["--config", str(folder / "config.json"), "--html", str(path)])
    assert done.exception is not None
    raise done.exception


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: ReportFile(path, RunReport("target", moment(0), dry_run=False)), "at `report_path` cannot be"),
        (MetricsFile, "at `metrics_path` cannot be written"),
        (RejectsFile, "at `rejects_path` cannot be written"),
        (write_page, "The page cannot be written to"),
    ],
)
def test_the_error_names_the_link_for_each_file(
    shared: Path, tmp_path: Path, belongs: Callable[[Path], Path], write: Callable[[Path], Any], words: str
) -> None:
    link = belongs(shared / "file")
    link.symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigurationError) as caught:
        write(link)
    assert words in str(caught.value)
    assert f"{link} is a symbolic link of another user" in str(caught.value)
    assert not (tmp_path / "precious").exists()
