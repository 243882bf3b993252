"""The connection to a SQLite ledger: what its statements leave behind."""

from __future__ import annotations

import subprocess
import sys


def test_the_parameters_of_statements_about_many_layers_are_not_kept() -> None:
    program = """
import resource, sqlite3
from target_pinterest_audience.ledger.sqlite.connection import Connection
from target_pinterest_audience.ledger.sqlite.errors import Errors

connection = Connection(sqlite3.connect(":memory:"), Errors("The ledger", writes=False))
keys = [b"%016d" % number for number in range(100_000)]
for layer in range(50):
    name = f"layer_{layer}"
    connection.query(f"CREATE TABLE {name} (row_key BLOB PRIMARY KEY)")
    assert not connection.find("1", f"places CROSS JOIN {name} ON row_key = {{key}}", keys, in_order=True)
    if layer in {9, 49}:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    # Linux counts the most memory of the parent as the child's, too. So that must not be this process.
    start = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    command = [sys.executable, "-c", start, program]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after_10, after_50 = map(int, said.split())
    assert after_50 < 1.2 * after_10
