"""Names and messages from elsewhere can neither forge a line nor steer a terminal, wherever they are shown."""

from __future__ import annotations

import io
import json
import logging
import re
from contextlib import redirect_stdout

import msgspec
import pytest
from singer_sdk.logging import ConsoleFormatter, StructuredFormatter

from target_pinterest_audience.companion.output import show_table
from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.reporting.alerts.alert import Alert, Kind, compose_message
from target_pinterest_audience.reporting.page.elements import el, serialise
from target_pinterest_audience.text.redaction import RedactingFormatter
from target_pinterest_audience.text.safe_text import one_line, safe_json
from tests.support.messages import people, record, schema
from tests.support.processes import Companion, Target

NASTY = "a\x1b[2J\x07\x9b31m\u202e\u2066\u2028b\r\nERROR forged\x7f"
"""Escape sequences in both forms, a bell, other directions of writing, three line breaks and a delete."""

FORBIDDEN = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]|^ERROR forged", re.MULTILINE
)

OTHERS = "Café 👩\u200d👩\u200d👧 \xa0 שלום\u200f عملاء 顧客 ｶﾅ"
"""Letters of other scripts, joined emoji and a no-break space."""


def test_text_in_every_script_stays_unchanged() -> None:
    assert one_line(OTHERS) == OTHERS


def test_unsafe_characters_are_shown_as_escapes() -> None:
    shown = one_line(NASTY)
    assert not FORBIDDEN.search(shown)
    assert shown.startswith(r"a\x1b[2J\x07\x9b31m\u202e\u2066\u2028b\r\nERROR forged")


def test_a_lone_surrogate_can_be_printed() -> None:
    assert one_line("a\ud800").encode() == rb"a\ud800"


def test_safe_json_has_the_same_value() -> None:
    encoded = msgspec.json.format(msgspec.json.encode({NASTY: [NASTY, OTHERS]}))
    shown = safe_json(encoded)
    assert not FORBIDDEN.search(shown.decode())
    assert json.loads(shown) == {NASTY: [NASTY, OTHERS]}


@pytest.mark.parametrize("inner", [logging.Formatter("%(levelname)s %(message)s"), ConsoleFormatter()])
def test_a_message_is_one_line_of_the_log(inner: logging.Formatter) -> None:
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "List %s.", (NASTY,), None)
    assert not FORBIDDEN.search(RedactingFormatter(inner).format(record))
    assert record.args == (NASTY,)


def test_a_message_is_one_line_of_a_structured_log() -> None:
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "List %s.", (NASTY,), None)
    (line,) = RedactingFormatter(StructuredFormatter()).format(record).splitlines()
    assert r"\x1b[2J" in json.loads(line)["message"]


def test_a_traceback_has_no_line_that_looks_like_a_log_line() -> None:
    error = ValueError(NASTY)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "Failed.", (), (ValueError, error, None))
    shown = RedactingFormatter(logging.Formatter("%(levelname)s %(message)s")).format(record)
    assert not FORBIDDEN.search(shown)
    assert "\n    ValueError: a" in shown


def test_a_table_keeps_a_row_on_its_line() -> None:
    shown = io.StringIO()
    with redirect_stdout(shown):
        show_table(["name"], [[NASTY]], empty="")
    assert not FORBIDDEN.search(shown.getvalue())


def test_an_alert_has_no_lines_from_a_foreign_text() -> None:
    title, text = compose_message([Alert("run", Kind.TOO_SMALL, "1", f'List "{NASTY}"', NASTY)], "1")
    assert not FORBIDDEN.search(title)
    assert not FORBIDDEN.search(text)


def test_a_page_keeps_the_direction_of_writing() -> None:
    shown = serialise(el("p", "a\u202eb\u2066c\x9bd"))
    assert "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}d" in shown


def test_a_name_in_a_stream_cannot_forge_a_line(run_target: Target) -> None:
    columns = {"email": {"type": "string"}, f"opt{NASTY}in": {"type": "string"}}
    message = {**schema("email", stream=NASTY), "schema": {"type": "object", "properties": columns}}
    run = run_target([message, record(stream=NASTY, id=1, email="nobody")], customer_list_name="customers")
    assert "ERROR forged" in run.stderr
    assert not FORBIDDEN.search(run.stderr)


def test_an_error_message_from_pinterest_cannot_forge_a_line(emulator: Emulator, run_target: Target) -> None:
    body = {"code": 29, "message": NASTY}
    emulator.backend.inject(Fault(method="GET", times=None, status=403, body=body))
    run = run_target([schema("email"), *people([1])])
    assert run.code == 3
    assert r"\x1b[2J" in run.stderr
    assert not FORBIDDEN.search(run.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("lists",),
        ("lists", "show", "ID"),
        ("audiences",),
        ("check",),
        ("ledger", "show"),
        ("report",),
        ("report", "--json"),
    ],
)
def test_a_name_at_pinterest_cannot_forge_a_line(
    emulator: Emulator, run_target: Target, run_companion: Companion, arguments: tuple[str, ...]
) -> None:
    made = emulator.backend.create_list(NASTY)
    settings = {"load_method": "upsert", "customer_list_name": NASTY, "missing_ledger": "warn"}
    loaded = run_target([schema("email"), *people(range(200))], **settings)
    assert loaded.code == 0, loaded.stderr
    run = run_companion(*(made.id if each == "ID" else each for each in arguments), **settings)
    assert run.code == 0, run.stdout + run.stderr
    assert "ERROR forged" in run.stdout
    assert not FORBIDDEN.search(run.stdout + run.stderr)


def test_names_in_a_prune_cannot_forge_a_line(run_target: Target, run_companion: Companion) -> None:
    settings = {"load_method": "overwrite", "customer_list_name": NASTY, "max_removal_percent": 100}
    for count in (200, 150):
        assert run_target([schema("email"), *people(range(count))], **settings).code == 0
    run = run_companion("prune", **settings)
    assert (run.code, r"\x1b[2J" in run.stdout) == (0, True), run.stderr
    assert not FORBIDDEN.search(run.stdout + run.stderr)
