"""Real Meltano with the project file of this repository, used as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from target_pinterest_audience.emulator import Call, Emulator
from tests.conftest import ACCOUNT, TOKEN
from tests.integration.people import TABLE_SQL, Customer, identities_of, make_customers, sha256
from tests.integration.pipeline import clean_environment
from tests.integration.postgres import Database

pytestmark = pytest.mark.timeout(600)

REPOSITORY = Path(__file__).parents[2]
NEEDED = ("meltano.yml", "pyproject.toml", "README.md", "LICENSE", "target_pinterest_audience")
INSTALL_SECONDS = 300
RUN_SECONDS = 120
LOADER = "target-pinterest-audience"
HEIR = f"{LOADER}--newsletter"
STATE_ID = f"dev:tap-postgres-to-{LOADER}"
CUSTOMERS = make_customers(1, 60)
LEADS = [{"id": n, "user.email": f" Lead.{n}@Crm.example", "email": f"not-this-{n}@crm.example"} for n in range(1, 41)]
LEAD_IDENTITIES = {sha256(f"lead.{n}@crm.example") for n in range(1, 41)}


class Project:
    """A Meltano project in a folder of its own."""

    def __init__(self, meltano: str, root: Path, environment: Mapping[str, str]) -> None:
        """Name the program, the folder and the environment of every command."""
        self._meltano = meltano
        self.root = root
        self.environment = clean_environment(**{"NO_COLOR": "1", **environment})

    def meltano(self, *arguments: str, seconds: float = RUN_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command of Meltano; its `stdout` is all that was printed, in order."""
        return subprocess.run(
            [self._meltano, *arguments],
            cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=seconds,
        )  # fmt: skip

    def run(self, loader: str = LOADER) -> str:
        """Run the pipeline, which must succeed; return what was printed."""
        done = self.meltano("run", "tap-postgres", loader)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def read_table(self, table: str, **metadata: str) -> None:
        """Let the tap read one table, and how."""
        stream = f"public-{table}"
        # Meltano takes a dot for the end of the stream's name unless it has a backslash.
        self.environment["TAP_POSTGRES__SELECT"] = json.dumps([f"{stream}.*".replace(".", "\\.", stream.count("."))])
        rules = {name.replace("_", "-"): value for name, value in metadata.items()}
        self.environment["TAP_POSTGRES__METADATA"] = json.dumps({stream: rules})

    def set(self, name: str, value: object) -> None:
        """Set one of the target's settings in the environment."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.environment[f"TARGET_PINTEREST_AUDIENCE_{name.upper()}"] = text

    def edit(self) -> _Edit:
        """Change meltano.yml inside a `with` block, whose variable is the file's content."""
        return _Edit(self.root / "meltano.yml")


class _Edit:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))

    def __enter__(self) -> dict[str, Any]:
        return self._content

    def __exit__(self, *_: object) -> None:
        self._path.write_text(yaml.safe_dump(self._content, sort_keys=False), encoding="utf-8")


@pytest.fixture(scope="session")
def installed_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The working tree as a project, with its plugins installed by Meltano."""
    meltano = shutil.which("meltano")
    if meltano is None:
        pytest.skip("Meltano is not on the PATH: pip install meltano, in an environment of its own")
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
    return Project(
        installed_project._meltano,
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
            "TARGET_PINTEREST_AUDIENCE_LOAD_METHOD": "append-only",
        },
    )


@pytest.fixture
def leads(database: Database) -> None:
    """A table and a column with dots in their names, and a column that would be found by name."""
    database.execute('CREATE TABLE "crm.leads" (id bigint PRIMARY KEY, "user.email" text, email text)')
    database.insert('"crm.leads"', LEADS)


def create_table(database: Database, customers: Iterable[Customer] = CUSTOMERS) -> None:
    database.execute(TABLE_SQL.format(table="customers"))
    database.insert("customers", [customer.row for customer in customers])


def added(calls: Iterable[Call]) -> list[str]:
    """Return the identities in the bodies of list writes, none of which removes any."""
    requests = [call.request or {} for call in calls]
    assert all(request.get("operation_type", "ADD") == "ADD" for request in requests)
    return [identity for request in requests for identity in str(request["records"]).split(",")]


def members(emulator: Emulator) -> dict[str, frozenset[str]]:
    return {each.name: each.members for each in emulator.backend.customer_lists()}


def assert_no_plain_values(printed: str) -> None:
    assert not [secret for customer in CUSTOMERS for secret in customer.secrets if secret in printed.lower()]


def test_full_table(project: Project, database: Database, emulator: Emulator) -> None:
    create_table(database)
    project.read_table("customers", replication_method="FULL_TABLE")

    printed = project.run()

    assert sorted(added(emulator.backend.writes())) == sorted(identities_of(CUSTOMERS))
    assert members(emulator) == {"public-customers": identities_of(CUSTOMERS)}
    assert [audience.name for audience in emulator.backend.audiences()] == ["public-customers"]
    assert_no_plain_values(printed)


def test_incremental_with_the_state_of_meltano(project: Project, database: Database, emulator: Emulator) -> None:
    create_table(database)
    project.read_table("customers", replication_method="INCREMENTAL", replication_key="updated_at")
    printed = project.run()
    assert sorted(added(emulator.backend.writes())) == sorted(identities_of(CUSTOMERS))
    seen = len(emulator.backend.writes())

    new = make_customers(61, 70)
    database.insert("customers", [customer.row for customer in new])
    printed += project.run()

    # The tap asks for `>=`, so it sends the newest row of the first run once more.
    assert sorted(added(emulator.backend.writes()[seen:])) == sorted(identities_of([CUSTOMERS[-1], *new]))
    assert members(emulator) == {"public-customers": identities_of([*CUSTOMERS, *new])}
    state = json.loads(project.meltano("state", "get", STATE_ID).stdout.splitlines()[-1])
    bookmark = state["singer_state"]["bookmarks"]["public-customers"]
    assert bookmark["replication_key_value"].startswith(str(new[-1].row["updated_at"])[:19])
    assert_no_plain_values(printed)


def test_log_based(project: Project, database: Database, replication_slot: str, emulator: Emulator) -> None:
    create_table(database, [])
    database.execute("ALTER TABLE customers REPLICA IDENTITY FULL")
    database.insert("customers", [customer.row for customer in CUSTOMERS])
    project.environment["TAP_POSTGRES_REPLICATION_SLOT_NAME"] = replication_slot
    project.environment["TAP_POSTGRES_REPLICATION_IDLE_EXIT_SECONDS"] = "4"
    project.read_table("customers", replication_method="LOG_BASED", replication_key="_sdc_lsn")
    printed = project.run()
    assert members(emulator) == {"public-customers": identities_of(CUSTOMERS)}
    seen = len(emulator.backend.writes())

    gone = [customer for customer in CUSTOMERS if customer.id % 7 == 0]
    database.execute("DELETE FROM customers WHERE id % 7 = 0")
    printed += project.run()

    (write,) = emulator.backend.writes()[seen:]
    assert write.request is not None
    assert write.request["operation_type"] == "REMOVE"
    assert sorted(str(write.request["records"]).split(",")) == sorted(identities_of(gone))
    assert members(emulator) == {"public-customers": identities_of(CUSTOMERS) - identities_of(gone)}
    assert_no_plain_values(printed)


def test_config_test(project: Project, emulator: Emulator) -> None:
    done = project.meltano("--log-level=debug", "config", "test", LOADER)

    # Meltano 4.4.1 often stumbles over a loader that has ended already, whichever loader that is. What it makes of the
    # test before that is in its log: the exit code, and lines with "error" or "exception", which it takes for failure.
    if "ProcessLookupError" not in done.stdout:
        assert done.returncode == 0, done.stdout
        assert "Plugin configuration is valid" in done.stdout
    invoked, _, rest = done.stdout.partition("Invoking: ")
    said, ended, rest = rest.partition("Process return code: ")
    assert invoked
    assert ended
    assert rest.splitlines()[0].strip() == "0"
    assert "meltano_test_stream" in said
    assert not [line for line in said.splitlines() if "error" in line.lower() or "exception" in line.lower()]
    assert emulator.backend.calls == []


def test_config_test_of_a_bad_configuration(project: Project) -> None:
    project.set("ad_account_id", "not digits")

    done = project.meltano("--log-level=debug", "config", "test", LOADER)

    assert done.returncode == 1
    assert "`ad_account_id` must consist of digits" in done.stdout


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize("place", ["file", "environment"])
def test_streams_with_dots(place: str, project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    configure(
        project, place, "streams",
        {"public-crm.leads": {"customer_list_name": "Leads", "identity_columns": {"user.email": "EMAIL"}}},
    )  # fmt: skip

    project.run()

    assert members(emulator) == {"Leads": LEAD_IDENTITIES}


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize("place", ["file", "environment"])
def test_identity_columns_with_dots(place: str, project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    configure(project, place, "identity_columns", {"user.email": "EMAIL"})

    project.run()

    assert members(emulator) == {"public-crm.leads": LEAD_IDENTITIES}


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize(
    ("name", "value", "loader"),
    [
        ("identity_columns", {"user.email": "EMAIL"}, LOADER),
        ("streams", {"public-crm.leads": {"operation": "remove"}}, HEIR),
    ],
)
def test_dropped_keys_are_refused(name: str, value: object, loader: str, project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    with project.edit() as content:
        (setting,) = (each for each in content["plugins"]["loaders"][0]["settings"] if each["name"] == name)
        setting["kind"] = "object"
        content["plugins"]["loaders"].append({"name": HEIR, "inherit_from": LOADER})
    project.set(name, value)

    done = project.meltano("run", "tap-postgres", loader)

    assert done.returncode == 1
    assert f"Meltano has dropped `{name}." in done.stdout
    assert "Declare the setting without a kind" in done.stdout
    assert emulator.backend.writes() == []


@pytest.mark.usefixtures("leads")
def test_inherited_loader_with_dots_in_the_environment(project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    with project.edit() as content:
        content["plugins"]["loaders"].append({"name": HEIR, "inherit_from": LOADER})
    project.set("identity_columns", {"user.email": "EMAIL"})

    project.run(HEIR)

    assert members(emulator) == {"public-crm.leads": LEAD_IDENTITIES}


def test_inherited_loader(project: Project, database: Database, emulator: Emulator) -> None:
    create_table(database)
    project.read_table("customers", replication_method="FULL_TABLE")
    with project.edit() as content:
        content["plugins"]["loaders"].append(
            {
                "name": HEIR,
                "inherit_from": LOADER,
                "config": {
                    "customer_list_name": "Newsletter",
                    "streams": {"public-customers": {"identity_columns": {"email": "EMAIL"}}},
                },
            }
        )

    project.run(HEIR)

    # The e-mail addresses and nothing else: the loader's own settings count, and its parent's connection.
    assert members(emulator) == {"Newsletter": {address for customer in CUSTOMERS for address in customer.addresses}}


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize(
    ("place", "stream"),
    [("file", r"public-crm\.leads"), ("environment", "public-crm.leads")],
    ids=["file", "environment"],
)
def test_stream_maps_with_dots_are_obeyed(place: str, stream: str, project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    configure(project, place, "stream_maps", {stream: {"__filter__": "id > 20"}})
    project.set("identity_columns", {"user.email": "EMAIL"})

    project.run()

    assert members(emulator) == {"public-crm.leads": {sha256(f"lead.{n}@crm.example") for n in range(21, 41)}}


@pytest.mark.usefixtures("leads")
def test_stream_maps_that_meltano_has_nested_are_refused(project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    configure(project, "file", "stream_maps", {"public-crm.leads": {"__filter__": "id > 20"}})

    done = project.meltano("run", "tap-postgres", LOADER)

    assert done.returncode == 1
    assert "put a backslash before each dot" in done.stdout
    assert emulator.backend.writes() == []


def test_stream_maps_in_the_file(project: Project, database: Database, emulator: Emulator) -> None:
    create_table(database)
    project.read_table("customers", replication_method="FULL_TABLE")
    configure(project, "file", "stream_maps", {"public-customers": {"__filter__": "id > 20"}})

    project.run()

    assert members(emulator) == {"public-customers": identities_of(CUSTOMERS[20:])}


def configure(project: Project, place: str, name: str, value: object) -> None:
    """Set one of the target's settings in meltano.yml or in the environment."""
    if place == "environment":
        project.set(name, value)
        return
    with project.edit() as content:
        content["plugins"]["loaders"][0].setdefault("config", {})[name] = value
