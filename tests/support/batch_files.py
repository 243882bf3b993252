"""Files of rows, and the BATCH messages that name them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from tests.support.messages import people

ENCODINGS = {
    "jsonl": {"format": "jsonl", "compression": "none"},
    "gzip": {"format": "jsonl", "compression": "gzip"},
    "parquet": {"format": "parquet", "compression": "snappy"},
}


def write(path: Path, rows: Sequence[dict[str, Any]], kind: str) -> str:
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=7)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(text) if kind == "gzip" else text)
    return path.as_uri()


def batch(kind: str, *urls: str, stream: str = "customers") -> dict[str, Any]:
    return {"type": "BATCH", "stream": stream, "encoding": ENCODINGS[kind], "manifest": list(urls)}


def rows(numbers: Sequence[int]) -> list[dict[str, Any]]:
    return [each["record"] for each in people(numbers)]
