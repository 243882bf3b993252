"""Writes the records of a stream to files, and a stream that names them: in_files.py FOLDER FORMAT < STREAM.

FORMAT is `parquet`, `jsonl`, or `gzip` for JSONL with gzip.
"""

from __future__ import annotations

import gzip
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

_ROWS = 250_000


def main() -> None:
    """Write one SCHEMA and one BATCH message."""
    folder, kind = Path(sys.argv[1]).absolute(), sys.argv[2]
    sys.stdout.write(next(sys.stdin))
    urls: list[str] = []
    while rows := [json.loads(line)["record"] for line in islice(sys.stdin, _ROWS)]:
        file = folder / f"{len(urls)}.{kind}"
        _write(file, kind, rows)
        urls.append(file.as_uri())
    encoding = {"format": "parquet"} if kind == "parquet" else {"format": "jsonl", "compression": _compression(kind)}
    message = {"type": "BATCH", "stream": "customers", "encoding": encoding, "manifest": urls}
    sys.stdout.write(json.dumps(message) + "\n")


def _compression(kind: str) -> str:
    return "gzip" if kind == "gzip" else "none"


def _write(file: Path, kind: str, rows: list[dict[str, Any]]) -> None:
    if kind == "parquet":
        import pyarrow as pa  # noqa: PLC0415 - heavy, and only needed for such files
        from pyarrow import parquet  # noqa: PLC0415 - likewise

        parquet.write_table(pa.Table.from_pylist(rows), file)
        return
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
    file.write_bytes(gzip.compress(text, compresslevel=6) if kind == "gzip" else text)


if __name__ == "__main__":
    main()
