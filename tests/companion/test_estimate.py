"""`check --rows`: its options, and its requests held against those of a real run."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from target_pinterest_audience.companion import estimate
from target_pinterest_audience.emulator import Emulator
from tests.support.messages import address, record, schema, state
from tests.support.processes import Companion, Target

ROWS = 250
NOWHERE = "http://127.0.0.1:9/v5"


def row(stream: str, number: int, kinds: list[str], lists: int) -> dict[str, Any]:
    """Return a row that has an identity of each type, and shares none with another row."""
    device = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{stream}{number}"))
    values = {
        "email": f"{stream}.{address(number)}",
        "idfa": device.upper(),
        "gaid": device,
        "phone": f"+4477009{number:05d}",
        "lr_id": f"XY{number:062d}",
    }
    return record(stream, id=number, segment=f"s{number % lists}", **{kind: values[kind] for kind in kinds})


@pytest.mark.parametrize("rows", [1, 100, ROWS])
@pytest.mark.parametrize(
    ("kinds", "settings"),
    [
        (["email"], {}),
        (["email"], {"load_method": "append-only"}),
        (["email"], {"load_method": "overwrite", "create_audience": False}),
        (["email"], {"batch_size_rows": 10_000, "max_request_bytes": 5_000}),
        (["email"], {"batch_size_rows": 10_000, "max_request_bytes": 5_000, "hash_algorithm": "sha1"}),
        (["phone"], {"batch_size_rows": 10_000, "max_request_bytes": 5_000}),
        (["email", "idfa", "phone"], {}),
        (["email", "idfa", "phone", "lr_id"], {"one_list_per_type": True}),
        (["email", "lr_id"], {"load_method": "append-only"}),
        (["email", "phone"], {"customer_list_name": "Known", "operation": "remove"}),
        (["email"], {"list_name_column": "segment"}),
        (["email", "idfa"], {"streams": {"a": {}, "b": {}}}),
        (["email"], {"streams": {"a": {}, "b": {"operation": "remove"}}, "customer_list_name": "Known"}),
    ],
)
def test_a_run_makes_as_many_requests_as_were_estimated(
    emulator: Emulator,
    run_target: Target,
    run_companion: Companion,
    rows: int,
    kinds: list[str],
    settings: dict[str, Any],
) -> None:
    settings = {"load_method": "upsert", "batch_size_rows": 100, **settings}
    if settings.get("customer_list_name") == "Known":
        emulator.backend.create_list("Known")
    streams, lists = list(settings.get("streams", {})) or ["customers"], min(3, rows)
    arguments = [f"--rows={f'{stream}=' if 'streams' in settings else ''}{rows}" for stream in streams]
    arguments += [f"--identity={kind.upper()}" for kind in kinds]
    arguments += [f"--lists={lists}"] if "list_name_column" in settings else []
    estimated = run_companion("check", *arguments, "--json", **settings)
    assert estimated.code == 0, estimated.stderr
    assert not emulator.backend.calls
    values = {each["name"]: each["value"] for each in json.loads(estimated.stdout)}

    stream = [
        message
        for name in streams
        for message in (
            schema(*kinds, "segment", stream=name),
            *(row(name, number, kinds, lists) for number in range(rows)),
        )
    ]
    run = run_target([*stream, state(1)], **settings)
    assert run.code == 0, run.stderr
    assert values["requests"] == len(emulator.backend.calls)
    assert f"requests to Pinterest: {values['requests']}" in run.stderr
    sent = sum(_records(call.request or {}) for call in emulator.backend.writes())
    assert values["identities"] == sent


def _records(request: dict[str, Any]) -> int:
    return len(request["records"].split(",")) if "records" in request else len(request["records_v2"])


def test_an_estimate_asks_nobody_and_creates_nothing(run_companion: Companion, tmp_path: Any) -> None:
    shown = run_companion("check", "--rows", "20,000,000", api_url=NOWHERE, load_method="upsert")
    assert (shown.code, shown.stderr) == (0, "")
    assert not (tmp_path / "ledger.db").exists()
    lines = shown.stdout.splitlines()
    assert lines[0] == "A first load of 20,000,000 rows, estimated from the settings."
    assert max(map(len, lines)) < 80
    names = [line[:18].strip() for line in lines[1:] if line[:18].strip()]
    assert names == [
        "lists", "identities", "requests", "run", "Standard access", "! Trial access", "target", "tap", "ledger",
        "memory",
    ]  # fmt: skip


def test_columns_of_the_settings_count_before_options(run_companion: Companion) -> None:
    columns = {"mail": "EMAIL", "ios": "IDFA"}
    arguments = ("check", "--rows=10", "--identity=PHONE", "--json")
    shown = json.loads(run_companion(*arguments, identity_columns=columns).stdout)
    (identities,) = [each for each in shown if each["name"] == "identities"]
    assert identities["value"] == 20
    assert "assumed: " not in identities["detail"]


def test_a_ledger_in_postgresql_needs_no_connection(run_companion: Companion) -> None:
    url = "postgresql://user:opensesame@127.0.0.1:9/ledger"
    shown = run_companion("check", "--rows=10", ledger_url=url, load_method="upsert")
    assert shown.code == 0
    assert "on the server" in shown.stdout
    assert "opensesame" not in shown.stdout


def test_a_disk_that_is_too_small_is_marked(run_companion: Companion) -> None:
    rows = f"{estimate._MOST_ROWS}"
    shown = run_companion("check", "--rows", rows, load_method="upsert")
    assert shown.code == 0
    assert "! ledger " in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["--rows=0"], {}, "0 rows take nothing."),
        (["--rows=0,000"], {}, "0 rows take nothing."),
        (["--rows=-5"], {}, "--rows takes a number of rows, such as 20000000"),
        (["--rows=many"], {}, "--rows takes a number of rows"),
        (["--rows=1,0"], {}, "--rows takes a number of rows"),
        (["--rows="], {}, "--rows takes a number of rows"),
        (["--rows=9999999999999"], {}, "at most 1,000,000,000,000 rows"),
        (["--rows=5", "--rows=6"], {}, "--rows was given twice"),
        (["--rows=a=5", "--rows=a=6"], {}, "--rows was given twice for a"),
        (["--rows=5"], {"streams": {"buyers": {}, "leads": {}}}, "has settings for buyers, leads. Say which stream"),
        (["--lists=5"], {}, "--identity and --lists belong to an estimate"),
        (["--identity=EMAIL"], {}, "--identity and --lists belong to an estimate"),
        (["--rows=5", "--identity=NAME"], {}, "'NAME' is not one of"),
        (["--rows=5"], {"batch_size_row": 5}, "`batch_size_row` is not a setting"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    run_companion: Companion, arguments: list[str], settings: dict[str, Any], words: str
) -> None:
    refused = run_companion("check", *arguments, **settings)
    assert refused.code == 2
    assert words in " ".join(refused.stderr.split())


def test_settings_for_all_streams_apply_to_a_stream_without_a_name(run_companion: Companion) -> None:
    settings = {"streams": {"*": {"customer_list_name": "Everybody"}}}
    assert 'customer list "Everybody"' in run_companion("check", "--rows=5", **settings).stdout
