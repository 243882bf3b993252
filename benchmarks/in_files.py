"""Writes the records of a stream to Parquet files, and a stream that names them: in_files.py FOLDER < STREAM."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

_ROWS = 250_000


def main() -> None:
    """Write one SCHEMA and one BATCH message."""
    sys.stdout.write(next(sys.stdin))
    urls: list[str] = []
    while rows := [json.loads(line)["record"] for line in islice(sys.stdin, _ROWS)]:
        file = Path(sys.argv[1]).absolute() / f"{len(urls)}.parquet"
        parquet.write_table(pa.Table.from_pylist(rows), file)
        urls.append(file.as_uri())
    message = {"type": "BATCH", "stream": "customers", "encoding": {"format": "parquet"}, "manifest": urls}
    sys.stdout.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    main()
