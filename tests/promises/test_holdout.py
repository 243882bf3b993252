"""The hold-out: a stable share of people who are on no list, through no row, to measure what the ads achieve."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from docgen.fences import Fence, parse
from target_pinterest_audience.emulator import Emulator
from tests.support.account import Sent, Write, members
from tests.support.ledgers import address as address_of
from tests.support.messages import address, deleted, digests, is_held_out, people, record, schema, sha256, state
from tests.support.postgres import Database
from tests.support.processes import Companion, Prune, Run, Target

SALT = "spring"
EMAIL = schema("email")
BOTH = schema("email", "idfa", "_sdc_deleted_at")
METHODS = pytest.mark.parametrize("load_method", ["append-only", "upsert"])


def idfa(number: int) -> str:
    return f"EA7583CD-B890-48BC-8F00-{number:012d}"


def held(numbers: Iterable[int], percent: int, salt: str = SALT) -> list[int]:
    """Return the people whom a hold-out chooses by their address."""
    return [number for number in numbers if is_held_out(sha256(address(number)), percent, salt)]


def free(numbers: Iterable[int], percent: int, salt: str = SALT) -> list[int]:
    return [number for number in numbers if number not in held([number], percent, salt)]


OUT = held(range(100), 10)[0]
IN = free(range(100), 50)[0]


@pytest.fixture
def config(config: dict[str, Any]) -> dict[str, Any]:
    method = {"load_method": "upsert", "max_removal_percent": 100}
    return {**config, **method, "holdout_percent": 10, "holdout_salt": SALT}


@pytest.fixture
def read(run_target: Target) -> Callable[..., Run]:
    """Run the target over messages; it must end well."""

    def run(*messages: dict[str, Any], **settings: Any) -> Run:
        done = run_target(list(messages), **settings)
        assert done.code == 0, done.stderr
        return done

    return run


Read = Callable[..., Run]


@METHODS
def test_who_is_held_out_is_not_sent_and_is_counted(
    emulator: Emulator, read: Read, sent: Sent, tmp_path: Path, load_method: str
) -> None:
    report = tmp_path / "report.json"
    out = held(range(1000), 10)
    done = read(EMAIL, *people(range(1000)), state(1), load_method=load_method, report_path=str(report))
    assert sent() == [Write("ADD", digests(free(range(1000), 10)))]
    assert done.states == [state(1)["value"]]
    assert (
        f"1,000 rows, {len(out)} held out; 1,000 values ({1000 - len(out)} to add, {len(out)} held out)" in done.stderr
    )
    (stream,) = json.loads(report.read_text())["streams"]
    assert (stream["held_out_rows"], stream["held_out"], stream["added"]) == (len(out), len(out), 1000 - len(out))
    read(EMAIL, *people(range(1000)), load_method=load_method)
    assert members(emulator) == digests(free(range(1000), 10))


def test_the_same_again_sends_nothing(read: Read, sent: Sent) -> None:
    read(EMAIL, *people(range(500)))
    sent()
    again = read(EMAIL, *people(range(500)))
    out = len(held(range(500), 10))
    assert sent() == []
    assert f"({500 - out} unchanged, {out} held out)" in again.stderr


def test_the_share_and_the_salt_may_change_between_runs(emulator: Emulator, read: Read, sent: Sent) -> None:
    rows = [EMAIL, *people(range(500))]
    read(*rows, holdout_percent=0)
    assert members(emulator) == digests(range(500))
    for percent, salt in ((10, SALT), (30, SALT), (20, SALT), (20, "autumn"), (0, SALT)):
        sent()
        before = members(emulator)
        read(*rows, holdout_percent=percent, holdout_salt=salt)
        assert members(emulator) == digests(free(range(500), percent, salt))
        moved = {(each.operation, identity) for each in sent() for identity in each.identities}
        assert {identity for _, identity in moved} == before ^ members(emulator)


def test_those_who_leave_because_the_share_grew_have_a_ceiling_and_a_reason(
    emulator: Emulator, read: Read, run_target: Target, run_companion: Companion
) -> None:
    rows = [EMAIL, *people(range(500))]
    read(*rows, holdout_percent=0)
    stopped = run_target(rows, holdout_percent=30, max_removal_percent=20)
    assert stopped.code == 6
    assert "Since the last run `holdout_percent` changed" in stopped.stderr
    assert members(emulator) == digests(range(500))
    read(*rows, holdout_percent=10, max_removal_percent=20)
    runs = json.loads(run_companion("report", "--json").stdout)["runs"]
    out = len(held(range(500), 10))
    assert runs[-1]["held_out"] == out
    assert runs[-1]["lists"][0]["causes"] == {"holdout": out}
    assert f"{out} held out" in run_companion("report").stdout


# Nobody who is held out is on the list through another row


def test_no_other_row_puts_an_identity_of_somebody_who_is_held_out_on_the_list(emulator: Emulator, read: Read) -> None:
    person = record(id=1, email=address(OUT), idfa=idfa(1))
    device, other = record(id=2, idfa=idfa(1)), record(id=3, email=address(IN), idfa=idfa(3))
    read(BOTH, device, other)
    on_list = {sha256(idfa(1)), sha256(idfa(3)), sha256(address(IN))}
    assert members(emulator) == on_list
    done = read(BOTH, person, device, other)
    assert members(emulator) == on_list - {sha256(idfa(1))}
    assert "2 held out" in done.stderr
    read(BOTH, deleted(1))
    assert members(emulator) == on_list


def test_nor_does_another_stream_that_holds_out_nobody(emulator: Emulator, read: Read) -> None:
    streams = {"other": {"holdout_percent": 0}, "*": {}}
    rows = [EMAIL, *people(range(100)), schema("email", stream="other"), *people(range(100), "other")]
    read(*rows, streams=streams, customer_list_name="customers")
    assert members(emulator) == digests(free(range(100), 10))


def test_two_rows_of_one_address_agree_whatever_else_they_name(emulator: Emulator, read: Read) -> None:
    rows = [record(id=n, email=address(person), idfa=idfa(n)) for n, person in enumerate([OUT, OUT, IN, IN])]
    read(BOTH, *rows)
    assert members(emulator) == {sha256(address(IN)), sha256(idfa(2)), sha256(idfa(3))}


def test_an_address_decides_for_the_phone_beside_it_and_a_phone_for_the_device(emulator: Emulator, read: Read) -> None:
    def phone(number: int) -> str:
        return f"49151{number:08d}"

    message, chosen = schema("email", "phone", "idfa"), [sha256(phone(n)) for n in range(100)]
    out = next(n for n in range(100) if is_held_out(chosen[n], 10, SALT))
    kept = next(n for n in range(100) if not is_held_out(chosen[n], 10, SALT))
    rows = [
        record(id=1, email=address(OUT), phone=f"+{phone(kept)}"), record(id=2, phone=f"+{phone(kept)}"),
        record(id=3, phone=f"+{phone(out)}", idfa=idfa(3)), record(id=4, email=address(IN), phone=f"+{phone(out)}"),
    ]  # fmt: skip
    read(message, *rows)
    assert members(emulator) == digests([IN])
    read(message, *rows, holdout_percent=0)
    assert members(emulator) == {
        *digests([IN, OUT]), sha256(idfa(3)), *(f"hashed_phone_number:{chosen[each]}" for each in (kept, out))
    }  # fmt: skip


def test_of_an_array_the_smallest_digest_decides_in_whatever_order(
    emulator: Emulator, read: Read, tmp_path: Path
) -> None:
    path, columns = tmp_path / "out.jsonl", {"emails[]": "EMAIL", "email": "EMAIL"}
    message = schema("email")
    message["schema"]["properties"]["emails"] = {"type": "array", "items": {"type": "string"}}
    pairs = [(n, n + 50) for n in range(50)]
    rows = [record(id=n, emails=[address(a), address(b)][:: (-1) ** n]) for n, (a, b) in enumerate(pairs)]
    out = [n for n, pair in enumerate(pairs) if is_held_out(min(digests(pair)), 50, SALT)]
    settings: dict[str, Any] = {"identity_columns": columns, "holdout_percent": 50, "holdout_path": str(path)}
    read(message, *rows, *[record(id=n + 100, email=address(pairs[n][1])) for n in out], **settings)
    assert members(emulator) == digests([n for at, pair in enumerate(pairs) if at not in out for n in pair])
    assert [key["id"] for key in keys(path) if key["id"] < 100] == out
    again = read(
        message, *[record(id=each["record"]["id"], emails=each["record"]["emails"][::-1]) for each in rows], **settings
    )
    assert f"{2 * len(out)} held out)" in again.stderr


def test_a_record_without_the_deciding_column_leaves_the_choice_as_it_is(emulator: Emulator, read: Read) -> None:
    numbers = [n for n in range(100) if not is_held_out(sha256(idfa(n)), 10, SALT)]
    read(BOTH, record(id=1, email=address(OUT), idfa=idfa(numbers[0])), *people([IN]))
    partial = read(BOTH, record(id=1, idfa=idfa(numbers[1])))
    assert members(emulator) == digests([IN])
    assert "(1 held out)" in partial.stderr
    read(BOTH, record(id=1, email=None, idfa=idfa(numbers[1])))
    assert members(emulator) == {*digests([IN]), sha256(idfa(numbers[1]))}


def test_without_a_key_the_record_decides_for_all_its_identities_and_being_held_out_wins(
    emulator: Emulator, read: Read
) -> None:
    number = next(n for n in range(100) if not is_held_out(sha256(idfa(n)), 10, SALT))
    keyless = schema("email", "idfa", key=())
    person, device, other = (
        record(email=address(OUT), idfa=idfa(number)), record(idfa=idfa(number)), record(email=address(IN)),
    )  # fmt: skip
    for rows in ([person, device, other], [device, person, other], [device, other, person]):
        read(keyless, *rows)
        assert members(emulator) == digests([IN])
    read(keyless, device, other)
    assert members(emulator) == {*digests([IN]), sha256(idfa(number))}


@METHODS
def test_a_row_that_names_its_list_is_held_out_of_each(emulator: Emulator, read: Read, load_method: str) -> None:
    message = schema("email", "segment")
    for name in ("gold", "silver"):
        rows = [record(id=n, email=address(n), segment=name) for n in range(100)]
        read(message, *rows, list_name_column="segment", load_method=load_method)
        assert members(emulator, name) == digests(free(range(100), 10))


def test_a_row_that_moves_holds_out_what_it_names_on_its_new_list(emulator: Emulator, read: Read) -> None:
    message, number = schema("email", "idfa", "segment"), free(range(100), 50)[1]
    both = ((2, "gold"), (3, "silver"))
    others = [record(id=key, idfa=idfa(1), email=address(number), segment=name) for key, name in both]
    read(message, record(id=1, email=address(OUT), idfa=idfa(1), segment="gold"), *others, list_name_column="segment")
    assert members(emulator, "gold") == digests([number])
    assert members(emulator, "silver") == {*digests([number]), sha256(idfa(1))}
    read(message, record(id=1, email=address(OUT), segment="silver"), list_name_column="segment")
    assert members(emulator, "gold") == {*digests([number]), sha256(idfa(1))}
    assert members(emulator, "silver") == digests([number])


# What rows say besides


def test_a_row_that_is_held_out_can_still_withdraw_its_consent(emulator: Emulator, read: Read) -> None:
    emulator.backend.create_list("customers", sorted(digests([OUT, IN])))
    message = schema("email", "consent")
    read(message, record(id=1, email=address(OUT), consent="yes"), consent_column="consent")
    assert members(emulator) == digests([OUT, IN]), "the ledger did not put them there"
    read(message, record(id=1, email=address(OUT), consent="no"), consent_column="consent")
    assert members(emulator) == digests([IN])
    read(EMAIL, record(id=2, email=address(OUT)), holdout_percent=0)
    assert members(emulator) == digests([IN])


def test_a_delete_that_names_somebody_who_is_held_out_removes_them(emulator: Emulator, read: Read) -> None:
    emulator.backend.create_list("customers", sorted(digests([OUT, IN])))
    read(BOTH, record(id=1, email=address(OUT)))
    read(BOTH, deleted(2, email=address(OUT)))
    assert members(emulator) == digests([IN])


def test_a_refused_row_that_grants_again_is_held_out_again(emulator: Emulator, read: Read) -> None:
    message = schema("email", "consent")
    for answer in ("yes", "no", "yes"):
        read(message, record(id=1, email=address(OUT), consent=answer), *[
            record(id=2, email=address(IN), consent="yes")
        ], consent_column="consent")  # fmt: skip
        assert members(emulator) == digests([IN])
    read(message, record(id=1, email=address(OUT), consent="yes"), consent_column="consent", holdout_percent=0)
    assert members(emulator) == digests([IN, OUT])


def test_prune_ends_what_a_missing_row_held_out(emulator: Emulator, read: Read, run_prune: Prune) -> None:
    person, device, other = record(id=1, email=address(OUT), idfa=idfa(1)), record(id=2, idfa=idfa(1)), people([IN])
    read(BOTH, person, device, *other, load_method="overwrite")
    assert members(emulator) == digests([IN])
    read(BOTH, device, *other, load_method="overwrite")
    pruned = run_prune(load_method="overwrite")
    assert pruned.code == 0, pruned.stderr
    assert members(emulator) == {*digests([IN]), sha256(idfa(1))}


def test_a_list_that_was_cleared_holds_out_nobody_any_more(
    emulator: Emulator, read: Read, run_companion: Companion
) -> None:
    read(EMAIL, *people(range(100)))
    cleared = run_companion("clear", "--list", "customers", "--yes")
    assert (cleared.code, members(emulator)) == (0, frozenset()), cleared.stderr
    read(EMAIL, *[record(id=n + 1000, email=address(n)) for n in range(100)], holdout_percent=0)
    assert members(emulator) == digests(range(100))


def test_a_source_that_expires_holds_out_nobody_any_more(
    emulator: Emulator, read: Read, run_companion: Companion, tmp_path: Path
) -> None:
    streams: dict[str, Any] = {"old": {}, "customers": {}}
    kept = [schema("email", "idfa"), *people([IN]), record(id=1000, idfa=idfa(1))]
    old = [schema("email", "idfa", stream="old"), record("old", id=1, email=address(OUT), idfa=idfa(1))]
    read(*old, *kept, streams=streams, customer_list_name="customers")
    assert members(emulator) == digests([IN])
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE sources SET last_read = last_read - 8e6 WHERE name = 'old'")
    expired = run_companion("ledger", "expire", "--older-than", "30", "--yes")
    assert expired.code == 0, expired.stderr
    read(*kept, streams=streams, customer_list_name="customers")
    assert members(emulator) == {*digests([IN]), sha256(idfa(1))}


def test_who_is_forgotten_is_erased_from_what_is_held_out(
    emulator: Emulator, read: Read, run_companion: Companion
) -> None:
    read(EMAIL, *people([OUT, IN]))
    found = run_companion("ledger", "find", "--source", "customers", "--key", f"id={OUT}")
    assert "holds out" in found.stdout
    assert run_companion("forget", "--email", address(OUT), "--yes").code == 0
    gone = run_companion("ledger", "find", "--source", "customers", "--key", f"id={OUT}")
    assert "holds out" not in gone.stdout
    read(EMAIL, *people([OUT, IN]), holdout_percent=0)
    assert members(emulator) == digests([IN])


# The file of keys


def keys(path: Path) -> list[Any]:
    return [json.loads(line)["key"] for line in path.read_text().splitlines()]


@METHODS
def test_the_keys_of_those_who_are_held_out_are_written_for_a_join(
    read: Read, tmp_path: Path, load_method: str
) -> None:
    path = tmp_path / "held" / "out.jsonl"
    done = read(EMAIL, *people(range(300)), load_method=load_method, holdout_path=str(path))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"stream": "customers", "key": {"id": n}} for n in held(range(300), 10)
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert address(OUT) not in path.read_text() + done.stderr
    read(EMAIL, *people(free(range(300), 10)), load_method=load_method, holdout_path=str(path))
    assert path.read_text() == ""


def test_an_address_that_is_a_key_is_written_as_its_digest(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    rows = [
        record(id=1, email=address(OUT), login=f" {address(OUT).upper()}", part="x@y"),
        record(id=2, email=address(OUT), login="plain", part=sha256("x")),
    ]
    read(schema("email", "login", "part", key=("id", "login", "email", "part")), *rows, holdout_path=str(path))
    digest = sha256(address(OUT))
    assert keys(path) == [
        {"id": 1, "login": digest, "email": digest, "part": sha256("x@y")},
        {"id": 2, "login": "plain", "email": digest, "part": sha256("x")},
    ]


@METHODS
@pytest.mark.parametrize(
    ("path", "kind", "key"),
    [
        ("k.email", "EMAIL", lambda n: {"email": address(n), "year": 2026}),
        ("k.a.email", "EMAIL", lambda n: {"a": {"email": address(n)}}),
        ("k[].email", "EMAIL", lambda n: [{"email": address(n)}]),
        ("k[]", "EMAIL", lambda n: [address(n)]),
        ("k", "EMAIL", lambda n: [address(n)]),
        ("k.phone", "PHONE", lambda n: {"phone": f"030 123456{n:02d}"}),
        ("k[].phone", "PHONE", lambda n: [{"phone": f"+49 30 123456{n:02d}"}]),
        ("k[]", "PHONE", lambda n: [493012345600 + n]),
    ],
)
def test_an_identity_inside_a_key_is_plain_in_no_file_and_no_line(
    read: Read, tmp_path: Path, load_method: str, path: str, kind: str, key: Callable[[int], Any]
) -> None:
    """The `_id` of a grouped collection of MongoDB is an object."""
    message = schema("email", key=("k",))
    message["schema"]["properties"]["k"] = {}
    files = {name: str(tmp_path / name) for name in ("holdout_path", "rejects_path", "report_path")}
    rows = [record(k=key(n), email="no address") for n in range(40)]
    # Some rows are read one by one, the others in blocks.
    rows += [record(k=key(n)) for n in range(40, 50)]
    done = read(
        message, *rows, **files, load_method=load_method, identity_columns={path: kind, "email": "EMAIL"},
        ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}", phone_country="DE", holdout_percent=50,
        max_rejected_percent=100,
    )  # fmt: skip
    plain = re.compile(rb"person\d|example\.com|(?:030 |4930|\+49 30 )123456")
    held_keys = keys(tmp_path / "holdout_path")
    assert 10 < len(held_keys) < 40
    written = {each.name: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
    assert {name for name, text in written.items() if plain.search(text)} == set()
    assert plain.search(done.stderr.encode()) is None
    assert all(re.search(r"[0-9a-f]{64}", json.dumps(each)) for each in held_keys)


def test_rows_without_a_key_are_not_in_the_file_and_the_run_says_so(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    done = read(schema("email", key=()), record(email=address(OUT)), record(email=address(IN)), holdout_path=str(path))
    assert path.read_text() == ""
    assert "`holdout_path` does not list those that are held out" in done.stderr


def test_a_dry_run_writes_the_file_too(read: Read, sent: Sent, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    read(EMAIL, *people([OUT, IN]), dry_run=True, holdout_path=str(path))
    assert (sent(), keys(path)) == ([], [{"id": OUT}])


# The same choice in a warehouse


def expression(database_name: str, salt: str, percent: int) -> str:
    """Return the expression of the guide for a database."""
    page = (Path(__file__).parents[2] / "docs/guides/measure-lift.md").read_text(encoding="utf-8")
    (fence,) = [each for each in parse(page) if isinstance(each, Fence) and each.title == database_name]
    assert (fence.text.count("spring:"), fence.text.count("< 10")) == (1, 1)
    return fence.text.replace("spring:", f"{salt}:").replace("< 10", f"< {percent}")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["sqlite", "postgres"])
def test_the_guides_expression_finds_the_same_people_among_a_hundred_thousand(
    emulator: Emulator, read: Read, database: Database, tmp_path: Path, place: str
) -> None:
    database.execute(
        "CREATE TABLE customers AS SELECT id, CASE WHEN id % 7 = 0 THEN ' Person' ELSE 'person' END || id || "
        "CASE WHEN id % 5 = 0 THEN '@EXAMPLE.com ' ELSE '@example.com' END AS email "
        "FROM generate_series(0, 99999) AS id"
    )
    rows = json.loads(database.execute("SELECT json_agg(customers ORDER BY id) FROM customers"))
    chosen = database.execute(f"SELECT id FROM customers WHERE {expression('PostgreSQL', SALT, 10)} ORDER BY id")  # noqa: S608 - our own words
    out = [int(each) for each in chosen.splitlines()]
    assert 9_700 <= len(out) <= 10_300
    path = tmp_path / "out.jsonl"
    ledger = {"ledger_url": address_of(database)} if place == "postgres" else {}
    for _ in range(2):
        read(EMAIL, *[record(**each) for each in rows], holdout_path=str(path), **ledger)
        assert [key["id"] for key in keys(path)] == out
        assert members(emulator) == digests(range(100_000)) - digests(out)
