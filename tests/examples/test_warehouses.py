"""The recipe for warehouses, with stand-ins for the store and for the warehouses' commands."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from target_pinterest_audience.emulator import Emulator, Fault
from tests.support.account import members
from tests.support.messages import digests
from tests.support.sync_folder import EXAMPLES, SyncFolder

_STORE = """
import fsspec
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem


class Store(DirFileSystem):
    protocol = ("s3", "gs")

    def __init__(self, **options):
        super().__init__({folder!r}, LocalFileSystem(auto_mkdir=True), **options)

    @classmethod
    def _strip_protocol(cls, path):
        return path.partition("://")[2] or path

    def unstrip_protocol(self, path):
        return "{scheme}://" + path


for scheme in Store.protocol:
    fsspec.register_implementation(scheme, Store, clobber=True)
"""

_WAREHOUSE = """\
#!{python}
import re, sys
from pathlib import Path
import fsspec, pyarrow as pa
from pyarrow import parquet

folder = Path(__file__).parents[1]
sql = sys.stdin.read()
(url,) = re.findall(r"'(\\w+://[^']+/)", sql)
numbers = [int(word) for word in (folder / "numbers").read_text().split()]
print("the export's own output")
for part in range(2):
    some = numbers[part::2]
    with fsspec.open(f"{{url}}part-{{part}}.parquet", "wb") as file:
        parquet.write_table(pa.table({{"id": some, "email": [f"person{{n}}@example.com" for n in some]}}), file)
sys.exit(int((folder / "export-code").read_text()))
"""

SCHEMES = {"snowflake": "s3", "bigquery": "gs", "redshift": "s3"}
COMMANDS = {"snowflake": "snow", "bigquery": "bq", "redshift": "psql"}


class Warehouse:
    """A folder with the recipe of a warehouse."""

    def __init__(self, name: str, sync: SyncFolder, store: Path) -> None:
        self.name = name
        self.store = store
        self._sync = sync

    def export(self, *numbers: int, code: int = 0) -> None:
        """Let the warehouse export these people, and end with this code."""
        (self._sync.folder / "numbers").write_text(" ".join(map(str, numbers)))
        (self._sync.folder / "export-code").write_text(str(code))

    def run(self) -> int:
        """Run the recipe, and return its exit code."""
        folder = self._sync.folder
        done = self._sync.run(
            "sync.sh",
            self.name,
            f"{SCHEMES[self.name]}://exports/pinterest",
            PYTHONPATH=f"{folder}:{':'.join(sys.path)}",
        )
        self.printed = done.stdout + done.stderr
        return done.returncode

    def left_over(self) -> list[Path]:
        """Return the files that are still in the store."""
        return [each for each in self.store.rglob("*") if each.is_file()]


@pytest.fixture(
    params=["snowflake", *(pytest.param(each, marks=pytest.mark.slow) for each in ("bigquery", "redshift"))]
)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, config: dict[str, Any]) -> Warehouse:
    name = request.param
    (tmp_path / "store").mkdir()
    sync = SyncFolder(tmp_path / "sync", {**config, "max_retries": 0})
    for example in (EXAMPLES / "warehouses").iterdir():
        if example.name != "target.json":
            shutil.copy(example, sync.folder)
    (sync.folder / "sitecustomize.py").write_text(_STORE.format(folder=str(tmp_path / "store"), scheme=SCHEMES[name]))
    sync.write_program(COMMANDS[name], _WAREHOUSE.format(python=sys.executable))
    return Warehouse(name, sync, tmp_path / "store")


def test_a_list_follows_the_exports_and_no_file_stays(warehouse: Warehouse, emulator: Emulator) -> None:
    warehouse.export(1, 2, 3)
    assert warehouse.run() == 0, warehouse.printed
    assert members(emulator) == digests([1, 2, 3])
    warehouse.export(2, 3, 4)
    assert warehouse.run() == 0, warehouse.printed
    assert members(emulator) == digests([2, 3, 4])
    assert warehouse.left_over() == []


def test_a_failed_export_removes_nobody(warehouse: Warehouse, emulator: Emulator) -> None:
    warehouse.export(1, 2, 3)
    assert warehouse.run() == 0, warehouse.printed
    warehouse.export(1, code=3)
    assert warehouse.run() == 8
    assert members(emulator) == digests([1, 2, 3])
    assert warehouse.left_over() == []


def test_a_failed_run_keeps_its_exit_code_and_leaves_no_file(warehouse: Warehouse, emulator: Emulator) -> None:
    emulator.backend.inject(Fault(status=503, times=None))
    warehouse.export(1)
    assert warehouse.run() == 4
    assert warehouse.left_over() == []


def test_the_settings_are_those_of_a_table_that_is_read_in_full() -> None:
    settings = json.loads((EXAMPLES / "warehouses" / "target.json").read_text())
    assert (settings["load_method"], settings["missing_ledger"]) == ("overwrite", "stop")
    assert settings["customer_list_name"]
