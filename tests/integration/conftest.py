"""The real parts; a test whose parts are not on this machine is skipped, and says what to install."""

from __future__ import annotations

import secrets
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.account import ACCOUNT, TOKEN
from tests.support.meltano_project import INSTALL_SECONDS, LOADER, NEEDED, REPOSITORY, Project
from tests.support.pipeline import MakePipeline, Pipeline
from tests.support.postgres import Database, SqlError


@pytest.fixture
def replication_slot(database: Database) -> str:
    """A logical replication slot from which changes are read as wal2json."""
    name = f"test_{secrets.token_hex(8)}"
    try:
        database.execute(f"SELECT pg_create_logical_replication_slot('{name}', 'wal2json')")
    except SqlError as error:
        if "wal2json" not in str(error):
            raise
        pytest.skip("PostgreSQL's plugin wal2json is not installed: apt-get install postgresql-<version>-wal2json")
    return name


@pytest.fixture(scope="session")
def tap_postgres() -> str:
    """The program tap-postgres."""
    found = shutil.which("tap-postgres")
    if found is None:
        pytest.skip(
            "tap-postgres is not on the PATH: pip install meltanolabs-tap-postgres, in an environment of its own"
        )
    return found


@pytest.fixture(scope="session")
def target_program() -> str:
    """The target of the environment that runs the tests."""
    return str(Path(sysconfig.get_path("scripts")) / "target-pinterest-audience")


@pytest.fixture(scope="session")
def companion_program() -> str:
    """The companion of the environment that runs the tests."""
    return str(Path(sysconfig.get_path("scripts")) / "pinterest-audience")


@pytest.fixture
def make_pipeline(
    tmp_path: Path, database: Database, tap_postgres: str, target_program: str, config: dict[str, Any]
) -> MakePipeline:
    """Make a pipeline, given more settings of the target by name, and more of the tap as a dictionary."""

    def make(tap: dict[str, Any] | None = None, **target: object) -> Pipeline:
        return Pipeline(tap_postgres, target_program, tmp_path, database, {**config, **target}, **(tap or {}))

    return make


@pytest.fixture
def make_log_pipeline(make_pipeline: MakePipeline, replication_slot: str) -> MakePipeline:
    """The same, for a tap that reads the replication slot until it has been silent for a while."""
    return lambda **target: make_pipeline(
        {"replication_slot_name": replication_slot, "replication_idle_exit_seconds": 4}, **target
    )


@pytest.fixture(scope="session")
def meltano() -> str:
    """The program meltano."""
    found = shutil.which("meltano")
    if found is None:
        pytest.skip("Meltano is not on the PATH: pip install meltano, in an environment of its own")
    return found


@pytest.fixture(scope="session")
def installed_project(meltano: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The working tree as a project, with its plugins installed by Meltano."""
    root = tmp_path_factory.mktemp("project")
    for name in NEEDED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    # The version comes from git, which is not copied.
    project = Project(meltano, root, {"SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.0"})
    done = project.meltano("install", seconds=INSTALL_SECONDS)
    assert done.returncode == 0, done.stdout
    assert (root / "meltano.yml").read_bytes() == (REPOSITORY / "meltano.yml").read_bytes(), (
        "Meltano rewrites meltano.yml: give it the form that Meltano writes"
    )
    shutil.copy(root / ".meltano" / "meltano.db", root / "empty.db")
    return project


@pytest.fixture
def project(installed_project: Project, database: Database, emulator: Emulator) -> Project:
    """The project as it was after the installation, with PostgreSQL and the emulator in its environment."""
    root = installed_project.root
    shutil.copy(REPOSITORY / "meltano.yml", root / "meltano.yml")
    shutil.copy(root / "empty.db", root / ".meltano" / "meltano.db")
    shutil.rmtree(root / ".meltano" / LOADER, ignore_errors=True)
    (root / ".env").unlink(missing_ok=True)
    return Project(
        installed_project.program,
        root,
        {
            "TAP_POSTGRES_HOST": database.host,
            "TAP_POSTGRES_PORT": str(database.port),
            "TAP_POSTGRES_USER": database.user,
            "TAP_POSTGRES_PASSWORD": database.password,
            "TAP_POSTGRES_DATABASE": database.name,
            "TAP_POSTGRES_FILTER_SCHEMAS": '["public"]',
            "TARGET_PINTEREST_AUDIENCE_AD_ACCOUNT_ID": ACCOUNT,
            "TARGET_PINTEREST_AUDIENCE_ACCESS_TOKEN": TOKEN,
            "TARGET_PINTEREST_AUDIENCE_API_URL": emulator.url,
            "TARGET_PINTEREST_AUDIENCE_INITIAL_BACKOFF_MS": "1",
        },
    )
