"""Real Meltano with the project file of this repository, used as it is."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable

import pytest

from target_pinterest_audience.emulator import Call, Emulator, Fault
from tests.support.meltano_project import LOADER, Project
from tests.support.people import TABLE_SQL, Customer, identities_of, make_customers, sha256
from tests.support.postgres import Database

pytestmark = pytest.mark.timeout(600)

HEIR = f"{LOADER}--newsletter"
STATE_ID = f"dev:tap-postgres-to-{LOADER}"
CUSTOMERS = make_customers(1, 60)
LEADS = [{"id": n, "user.email": f" Lead.{n}@Crm.example", "email": f"not-this-{n}@crm.example"} for n in range(1, 41)]
LEAD_IDENTITIES = {sha256(f"lead.{n}@crm.example") for n in range(1, 41)}


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


def test_a_full_table_is_loaded(project: Project, database: Database, emulator: Emulator) -> None:
    create_table(database)
    project.read_table("customers", replication_method="FULL_TABLE")

    printed = project.run()

    assert sorted(added(emulator.backend.writes())) == sorted(identities_of(CUSTOMERS))
    assert members(emulator) == {"public-customers": identities_of(CUSTOMERS)}
    assert [audience.name for audience in emulator.backend.audiences()] == ["public-customers"]
    assert_no_plain_values(printed)


def test_an_incremental_sync_continues_from_meltanos_state(
    project: Project, database: Database, emulator: Emulator
) -> None:
    create_table(database)
    project.read_table("customers", replication_method="INCREMENTAL", replication_key="updated_at")
    printed = project.run()
    assert sorted(added(emulator.backend.writes())) == sorted(identities_of(CUSTOMERS))
    seen = len(emulator.backend.writes())

    new = make_customers(61, 70)
    database.insert("customers", [customer.row for customer in new])
    printed += project.run()

    # The tap sends the newest row of the first run once more (it asks for `>=`), and that changes nothing.
    assert sorted(added(emulator.backend.writes()[seen:])) == sorted(identities_of(new))
    assert members(emulator) == {"public-customers": identities_of([*CUSTOMERS, *new])}
    state = json.loads(project.meltano("state", "get", STATE_ID).stdout.splitlines()[-1])
    bookmark = state["singer_state"]["bookmarks"]["public-customers"]
    assert bookmark["replication_key_value"].startswith(str(new[-1].row["updated_at"])[:19])
    assert_no_plain_values(printed)


def test_a_log_based_sync_adds_and_removes(
    project: Project, database: Database, replication_slot: str, emulator: Emulator
) -> None:
    create_table(database)
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


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM)])
def test_the_next_run_finishes_what_two_interrupted_runs_left(
    project: Project, database: Database, emulator: Emulator, numbers: tuple[signal.Signals, signal.Signals]
) -> None:
    create_table(database)
    project.read_table("customers", replication_method="INCREMENTAL", replication_key="id")
    project.set("batch_size_rows", 10)
    made = emulator.backend.create_list("public-customers")
    emulator.backend.inject(Fault(method="PATCH", skip=2, delay_ms=8000))

    with project.start("run", "tap-postgres", LOADER) as meltano:
        deadline = time.monotonic() + 120
        while len([call for call in emulator.backend.calls if call.method == "PATCH"]) < 2:
            assert time.monotonic() < deadline
            assert meltano.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        for number in numbers:
            # As a terminal or a scheduler does: to Meltano, the tap and the target.
            os.killpg(meltano.pid, number)
            time.sleep(0.2)
        printed, _ = meltano.communicate(timeout=20)

    assert meltano.returncode != 0, printed
    assert "bug" not in printed
    assert "Traceback" not in printed.partition("target-pinterest-audience")[2]
    assert_no_plain_values(printed)
    delivered = emulator.backend.members(made.id)
    assert delivered < identities_of(CUSTOMERS)
    emulator.backend.clear_faults()
    project.run()
    assert members(emulator) == {"public-customers": identities_of(CUSTOMERS)}


def test_config_test_succeeds(project: Project, emulator: Emulator) -> None:
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
    assert "customer list: each stream goes to the list with the stream's name" in said
    assert {call.method for call in emulator.backend.calls} == {"GET"}


def test_config_test_names_what_is_wrong(project: Project, emulator: Emulator) -> None:
    emulator.backend.expire_access_tokens()

    done = project.meltano("--log-level=debug", "config", "test", LOADER)

    assert done.returncode == 1
    assert "HTTP 401 code 2" in done.stdout
    assert emulator.backend.writes() == []


def test_config_test_of_an_invalid_configuration_names_the_setting(project: Project) -> None:
    project.set("ad_account_id", "not digits")

    done = project.meltano("--log-level=debug", "config", "test", LOADER)

    assert done.returncode == 1
    assert "`ad_account_id` must consist of digits" in done.stdout


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize("place", ["file", "environment"])
def test_stream_names_may_have_dots(place: str, project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    configure(
        project, place, "streams",
        {"public-crm.leads": {"customer_list_name": "Leads", "identity_columns": {"user.email": "EMAIL"}}},
    )  # fmt: skip

    project.run()

    assert members(emulator) == {"Leads": LEAD_IDENTITIES}


@pytest.mark.parametrize("inside", [True, False], ids=["in-a-stream", "at-the-top"])
@pytest.mark.parametrize("place", ["file", "environment"])
def test_consent_values_are_passed_on(
    place: str, project: Project, database: Database, emulator: Emulator, *, inside: bool
) -> None:
    database.execute('CREATE TABLE "crm.readers" (id bigint PRIMARY KEY, email text, agrees text)')
    rows = [{"id": n, "email": f"lead.{n}@crm.example", "agrees": "Ja" if n <= 40 else "yes"} for n in range(1, 61)]
    database.insert('"crm.readers"', rows)
    project.read_table("crm.readers", replication_method="FULL_TABLE")
    words = {"consent_column": "agrees", "consent_values": ["ja"]}
    for name, value in ({"streams": {"public-crm.readers": words}} if inside else words).items():
        configure(project, place, name, value)

    project.run()

    assert members(emulator) == {"public-crm.readers": LEAD_IDENTITIES}


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize("place", ["file", "environment"])
def test_names_of_identity_columns_may_have_dots(place: str, project: Project, emulator: Emulator) -> None:
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
def test_an_inherited_loader_reads_names_with_dots_from_the_environment(project: Project, emulator: Emulator) -> None:
    project.read_table("crm.leads", replication_method="FULL_TABLE")
    with project.edit() as content:
        content["plugins"]["loaders"].append({"name": HEIR, "inherit_from": LOADER})
    project.set("identity_columns", {"user.email": "EMAIL"})

    project.run(HEIR)

    assert members(emulator) == {"public-crm.leads": LEAD_IDENTITIES}


def test_an_inherited_loader_has_settings_of_its_own(project: Project, database: Database, emulator: Emulator) -> None:
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

    printed = project.run(HEIR)

    # Meltano sets a variable for each setting, besides the file, for the heir and its parent.
    assert "identities to add" in printed
    assert "so they are not read" not in printed
    # The e-mail addresses and nothing else: the loader's own settings count, and its parent's connection.
    assert members(emulator) == {"Newsletter": {address for customer in CUSTOMERS for address in customer.addresses}}


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize(
    ("place", "stream"),
    [("file", r"public-crm\.leads"), ("environment", "public-crm.leads")],
    ids=["file", "environment"],
)
def test_stream_maps_with_dots_are_applied(place: str, stream: str, project: Project, emulator: Emulator) -> None:
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


def test_stream_maps_in_the_file_are_applied(project: Project, database: Database, emulator: Emulator) -> None:
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
