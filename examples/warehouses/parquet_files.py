"""Writes Singer messages for the Parquet files of a folder in an object store, or deletes the folder."""

import json
import sys

import fsspec
from pyarrow import parquet

STREAM, KEY = "customers", "id"

command, url = sys.argv[1:]
store, folder = fsspec.url_to_fs(url)

if command == "delete":
    if store.exists(folder):
        store.rm(folder, recursive=True)
    sys.exit()

files = sorted(path for path in store.find(folder) if store.size(path))
if not files:
    sys.exit(f"The export has written no file into {url}.")

with store.open(files[0]) as first:
    columns = parquet.read_schema(first).names
if KEY not in columns:
    sys.exit(f"The files have no column {KEY}, but {', '.join(columns)}.")

schema = {"properties": {column: {} for column in columns}}
print(json.dumps({"type": "SCHEMA", "stream": STREAM, "key_properties": [KEY], "schema": schema}))

for path in files:  # a message each, so that what Pinterest has accepted is settled file by file
    manifest = [store.unstrip_protocol(path)]
    print(json.dumps({"type": "BATCH", "stream": STREAM, "encoding": {"format": "parquet"}, "manifest": manifest}))
