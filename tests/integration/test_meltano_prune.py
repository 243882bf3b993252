"""`meltano run tap-postgres target-pinterest-audience pinterest-audience:prune`, with the project file as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator
from tests.support.meltano_project import LOADER, PRUNE, UTILITY, Project
from tests.support.people import TABLE_SQL, Customer, identities_of, make_customers, sha256
from tests.support.postgres import Database

pytestmark = pytest.mark.timeout(600)

JOB = "full-tables"
LIST = "public-customers"
CUSTOMERS = make_customers(1, 60)
LEADS = [{"id": n, "user.email": f" Lead.{n}@Crm.example", "email": f"not-this-{n}@crm.example"} for n in range(1, 41)]
STREAMS = {"public-crm.leads": {"customer_list_name": "Leads", "identity_columns": {"user.email": "EMAIL"}}}


@pytest.fixture
def customers(project: Project, database: Database) -> None:
    """A table that the tap reads in full, and the target with `load_method: overwrite`."""
    database.execute(TABLE_SQL.format(table="customers"))
    database.insert("customers", [customer.row for customer in CUSTOMERS])
    project.read_table("customers", replication_method="FULL_TABLE")
    project.set("load_method", "overwrite")


@pytest.fixture
def leads(project: Project, database: Database) -> None:
    """A table and a column with dots in their names, and a column that would be found by name."""
    database.execute('CREATE TABLE "crm.leads" (id bigint PRIMARY KEY, "user.email" text, email text)')
    database.insert('"crm.leads"', LEADS)
    project.read_table("crm.leads", replication_method="FULL_TABLE")


def lead_identities(first: int, last: int) -> set[str]:
    return {sha256(f"lead.{n}@crm.example") for n in range(first, last + 1)}


def members(emulator: Emulator) -> dict[str, frozenset[str]]:
    return {each.name: each.members for each in emulator.backend.customer_lists()}


def share(project: Project, config: dict[str, Any], heir: dict[str, Any] | None = None) -> None:
    """Give the loader and the utility one configuration in meltano.yml by an anchor, and an inherited pair another."""
    with project.edit() as content:
        plugins = content["plugins"]
        plugins["loaders"][0]["config"] = plugins["utilities"][0]["config"] = config
        if heir is not None:
            plugins["loaders"].append({"name": f"{LOADER}--vip", "inherit_from": LOADER, "config": heir})
            plugins["utilities"].append(
                {
                    "name": f"{UTILITY}--vip",
                    "inherit_from": UTILITY,
                    "namespace": "target_pinterest_audience__vip",
                    "config": heir,
                }
            )
    assert "config: *" in (project.root / "meltano.yml").read_text(encoding="utf-8")


def removals(emulator: Emulator) -> list[str]:
    requests = [call.request or {} for call in emulator.backend.writes()]
    return [str(each["records"]) for each in requests if each.get("operation_type") == "REMOVE"]


def assert_no_plain_values(printed: str, customers: Iterable[Customer] = CUSTOMERS) -> None:
    assert not [secret for customer in customers for secret in customer.secrets if secret in printed.lower()]


@pytest.mark.usefixtures("customers")
def test_rows_that_were_deleted_in_the_table_are_pruned(
    project: Project, database: Database, emulator: Emulator
) -> None:
    first = project.meltano("run", JOB)
    assert first.returncode == 0, first.stdout
    assert members(emulator) == {LIST: identities_of(CUSTOMERS)}
    assert "There was no one to remove." in first.stdout
    # Loader and utility find the same ledger of themselves, with Meltano's own state.
    assert (project.root / ".meltano" / LOADER / "ledger.db").exists()
    seen = len(emulator.backend.writes())

    database.execute("DELETE FROM customers WHERE id > 52")
    second = project.meltano("run", JOB)

    assert second.returncode == 0, second.stdout
    assert members(emulator) == {LIST: identities_of(CUSTOMERS[:52])}
    (write,) = emulator.backend.writes()[seen:]
    assert write.request is not None
    assert write.request["operation_type"] == "REMOVE"
    assert_no_plain_values(first.stdout + second.stdout)


@pytest.mark.usefixtures("customers")
def test_meltano_does_not_run_prune_after_a_tap_that_fails_halfway(project: Project, emulator: Emulator) -> None:
    project.run()
    # The rows behind it are few enough for prune to remove them, had it been asked.
    project.environment["TAP_POSTGRES_STREAM_MAPS"] = json.dumps({LIST: {"broken": "1 / (id - 55)"}})

    done = project.run_and_prune()

    assert done.returncode == 1
    assert "division by zero" in done.stdout
    assert "54 rows" in done.stdout, "the target got the rows before that one"
    assert "Nobody" not in done.stdout
    assert removals(emulator) == []
    assert members(emulator) == {LIST: identities_of(CUSTOMERS)}


@pytest.mark.usefixtures("customers")
def test_if_a_third_is_missing_nobody_is_removed_until_a_person_allows_it(
    project: Project, database: Database, emulator: Emulator
) -> None:
    project.run()
    database.execute("DELETE FROM customers WHERE id > 40")

    done = project.run_and_prune()

    assert done.returncode == 1
    assert "`max_removal_percent`" in done.stdout
    assert removals(emulator) == []
    assert members(emulator) == {LIST: identities_of(CUSTOMERS)}

    done = project.meltano("invoke", UTILITY, "prune", "--allow-removal-percent", "40")

    assert done.returncode == 0, done.stdout
    assert members(emulator) == {LIST: identities_of(CUSTOMERS[:40])}


@pytest.mark.usefixtures("customers")
def test_prune_removes_nobody_after_an_incremental_read(
    project: Project, database: Database, emulator: Emulator
) -> None:
    project.read_table("customers", replication_method="INCREMENTAL", replication_key="updated_at")
    project.run()
    # The newest row is still there, and read again.
    database.execute("DELETE FROM customers WHERE id BETWEEN 50 AND 55")

    done = project.run_and_prune()

    assert done.returncode == 1
    assert "shows an incremental sync" in done.stdout
    assert members(emulator) == {LIST: identities_of(CUSTOMERS)}


@pytest.mark.usefixtures("leads")
def test_an_inherited_pair_prunes_its_own_list_only(project: Project, database: Database, emulator: Emulator) -> None:
    # What only one of the pairs may obey.
    project.environment["TARGET_PINTEREST_AUDIENCE__VIP_AUDIENCE_NAME"] = "VIP audience"
    share(
        project,
        {"load_method": "overwrite", "streams": STREAMS},
        # The rest of what the parent says of the stream stays in force.
        {
            "streams": {"public-crm.leads": {"customer_list_name": "VIP"}},
            "stream_maps": {r"public-crm\.leads": {"__filter__": "id <= 30"}},
        },
    )
    pairs = [("", PRUNE), ("--vip", f"{UTILITY}--vip:prune")]
    for suffix, prune in pairs:
        done = project.run_and_prune(LOADER + suffix, prune)
        assert done.returncode == 0, done.stdout
    assert members(emulator) == {"Leads": lead_identities(1, 40), "VIP": lead_identities(1, 30)}
    assert [each.name for each in emulator.backend.audiences()] == ["Leads", "VIP audience"]

    database.execute('DELETE FROM "crm.leads" WHERE id <= 6')
    done = project.run_and_prune(f"{LOADER}--vip", f"{UTILITY}--vip:prune")

    assert done.returncode == 0, done.stdout
    assert members(emulator) == {"Leads": lead_identities(1, 40), "VIP": lead_identities(7, 30)}

    done = project.run_and_prune()

    assert done.returncode == 0, done.stdout
    assert members(emulator) == {"Leads": lead_identities(7, 40), "VIP": lead_identities(7, 30)}


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize("place", ["environment", "dotenv", "text in the file"])
def test_prune_finds_the_run_wherever_the_settings_come_from(place: str, project: Project, emulator: Emulator) -> None:
    settings = {"load_method": "overwrite", "streams": json.dumps(STREAMS)}
    if place == "environment":
        for name, value in settings.items():
            project.set(name, value)
    elif place == "dotenv":
        for name, value in settings.items():
            done = project.meltano("config", "set", "--store", "dotenv", LOADER, name, value)
            assert done.returncode == 0, done.stdout
    else:
        share(project, settings)

    done = project.run_and_prune()

    assert done.returncode == 0, done.stdout
    assert "There was no one to remove." in done.stdout
    assert members(emulator) == {"Leads": lead_identities(1, 40)}


@pytest.mark.usefixtures("customers")
def test_prune_with_other_settings_removes_nobody_and_names_its_ledger(
    project: Project, database: Database, emulator: Emulator
) -> None:
    share(project, {"customer_list_name": "Everybody"})
    # This makes two copies of what was shared, and changes one of them.
    done = project.meltano("config", "set", LOADER, "source_name", "shop")
    assert done.returncode == 0, done.stdout
    project.run()
    database.execute("DELETE FROM customers WHERE id > 55")

    done = project.run_and_prune()

    ledger = project.root / ".meltano" / LOADER / "ledger.db"
    assert done.returncode == 1
    assert f"{ledger} has no run with these settings" in " ".join(done.stdout.split())
    with project.edit() as content:
        content["plugins"]["utilities"][0]["config"]["ledger_url"] = "sqlite:///another/ledger.db"

    done = project.meltano("invoke", PRUNE)

    assert done.returncode == 2
    assert f"there is no ledger at {project.root / 'another' / 'ledger.db'}" in " ".join(done.stdout.split())
    assert not (project.root / "another").exists()
    assert removals(emulator) == []
    assert members(emulator) == {"Everybody": identities_of(CUSTOMERS)}


def test_an_object_that_meltano_split_into_variables_is_refused(project: Project) -> None:
    share(project, {"load_method": "overwrite", "streams": STREAMS})
    with project.edit() as content:
        (setting,) = (each for each in content["plugins"]["utilities"][0]["settings"] if each["name"] == "streams")
        del setting["kind"]

    done = project.meltano("invoke", PRUNE)

    assert done.returncode == 2
    assert "Meltano has split `streams` into single variables" in done.stdout


@pytest.mark.parametrize("name", ["streams", "customer_list_name"])
def test_loader_and_utility_refuse_an_empty_setting(name: str, project: Project) -> None:
    project.set(name, "")

    results = [project.meltano("invoke", plugin) for plugin in (LOADER, PRUNE)]

    # Meltano itself refuses an empty object.
    assert all(each.returncode != 0 for each in results), results
    assert name == "streams" or all(f"`{name}` is empty" in each.stdout for each in results), results
