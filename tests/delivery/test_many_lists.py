"""What a run does for each list does not depend on how many there are; counted, since time tells little."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.delivery.pending import PendingIdentities
from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.ledger.sqlite.connection import Connection
from target_pinterest_audience.reconcile.sources import loaders
from target_pinterest_audience.records import block as record_block
from target_pinterest_audience.records import decoder as record_decoder
from target_pinterest_audience.records.block import RecordBlock
from target_pinterest_audience.records.decoder import RecordDecoder
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.singer.target import TargetPinterestAudience
from tests.support.account import ACCOUNT, TOKEN
from tests.support.messages import address, record, schema, state


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something is done whose cost could grow with the lists."""
    done: Counter[str] = Counter()
    first_line, query, relations = (
        cast("Any", PendingIdentities.first_line).fget,
        Connection.query,
        loaders.relations,
    )

    def counted_lines(pending: PendingIdentities) -> Any:
        done["looks at what waits for a list"] += 1
        return first_line(pending)

    def counted_query(connection: Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        found = query(connection, statement, *parameters)
        done["statements"] += 1
        done["rows read"] += len(found)
        return found

    def counted_relations(*arguments: Any) -> Any:
        done["comparisons with all loaders"] += 1
        return relations(*arguments)

    monkeypatch.setattr(PendingIdentities, "first_line", property(counted_lines))
    monkeypatch.setattr(Connection, "query", counted_query)
    monkeypatch.setattr(loaders, "relations", counted_relations)
    return done


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, former in handlers.items():
        signal.signal(number, former)


def run(emulator: Emulator, folder: Path, lists: int, shift: int) -> None:
    """Run the target in this process, over a row for each list, some of which share it."""
    messages = [schema("email", "audience")]
    messages += [
        record(id=number, email=address(number + shift), audience=f"list {number % lists}")
        for number in range(2 * lists)
    ]
    messages.append(state(1))
    target = TargetPinterestAudience(
        config={
            "ad_account_id": ACCOUNT, "access_token": TOKEN, "api_url": emulator.url, "load_method": "upsert",
            "list_name_column": "audience", "ledger_url": f"sqlite:///{folder}/{lists}.db", "max_removal_percent": 100,
            "create_audience": False,
        }
    )  # fmt: skip
    try:
        target.listen(iter([json.dumps(each).encode() + b"\n" for each in messages]))  # type: ignore[arg-type]
    finally:
        target.current_run.close()


@pytest.mark.parametrize("runs", [1, 2])
def test_the_work_per_list_does_not_grow_with_the_number_of_lists(
    work: Counter[str], tmp_path: Path, runs: int
) -> None:
    done = []
    for lists in (25, 50, 100):
        with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
            for number in range(runs):
                work.clear()
                run(emulator, tmp_path, lists, 1000 * number)
            assert len(emulator.backend.customer_lists()) == lists
            done.append(Counter(work))
    few, some, many = done
    for what in many:
        assert many[what] - some[what] <= 2.2 * (some[what] - few[what]) + 25, (what, few, some, many)


def test_lists_that_fill_the_memory_are_sorted_once_for_many_identities(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("target_pinterest_audience.delivery.delivery._MOST_WAITING", 40)
    monkeypatch.setattr("target_pinterest_audience.delivery.delivery._FEWER_WAITING", 30)
    looks = 0
    make_room = Delivery._make_room

    def counted(delivery: Delivery) -> None:
        nonlocal looks
        looks += 1
        make_room(delivery)

    monkeypatch.setattr(Delivery, "_make_room", counted)
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
        run(emulator, tmp_path, 60, 0)
        assert sum(len(each.members) for each in emulator.backend.customer_lists()) == 120
    assert 1 <= looks <= 120 // 10


def test_a_block_with_a_state_after_each_row_is_split_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = 0
    split_lines = record_block.split_lines

    def counted(text: bytes) -> list[bytes]:
        nonlocal splits
        splits += 1
        return split_lines(text)

    monkeypatch.setattr(record_decoder, "split_lines", counted)
    taken: list[RecordBlock] = []
    decoder = RecordDecoder()
    decoder.need("customers", ["id", "email"], taken.append)
    messages = [message for n in range(200) for message in (record(id=n, email=address(n)), state(n))]
    text = b"".join(json.dumps(each).encode() + b"\n" for each in messages)
    whole = []
    for each in decoder.runs(text, Place(1)):
        if isinstance(each, list):
            whole += each
        else:
            each[0](each[1])
    assert [len(block) for block in taken] == [1] * 200
    assert [json.loads(line)["value"]["bookmarks"]["at"] for line in whole] == list(range(200))
    assert splits == 1
    rows = b"".join(b'{"id": 1}\n' + b'{"id": 1e999999999999}\n' for _ in range(50))
    list(decoder.rows("customers", rows, Place(1)))
    assert splits <= 3
