"""What a run does for each list does not depend on how many there are; counted, since time tells little."""

from __future__ import annotations

import gc
import json
import logging
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from target_pinterest_audience.delivery.delivery import Delivery, Room
from target_pinterest_audience.delivery.pending import PendingIdentities
from target_pinterest_audience.emulator import Emulator
from target_pinterest_audience.identities.list_names import list_name
from target_pinterest_audience.ledger.sqlite.connection import Connection
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.reconcile.sources import loaders
from target_pinterest_audience.records import block as record_block
from target_pinterest_audience.records import decoder as record_decoder
from target_pinterest_audience.records.block import RecordBlock
from target_pinterest_audience.records.decoder import RecordDecoder
from target_pinterest_audience.records.position import Place
from target_pinterest_audience.routing.orders import Order
from target_pinterest_audience.routing.plan import IfMissing, ListPlan, ListReference
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.singer.target import TargetPinterestAudience
from target_pinterest_audience.vocabulary import ListType, Operation
from tests.support.account import ACCOUNT, TOKEN
from tests.support.accounts import TwoLists
from tests.support.messages import address, record, schema, state
from tests.support.packing import packed

if TYPE_CHECKING:
    from target_pinterest_audience.pinterest.client import PinterestClient

POLICY = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something is done whose cost could grow with the lists."""
    done: Counter[str] = Counter()
    first_line, query, begin, relations = (
        cast("Any", PendingIdentities.first_line).fget,
        Connection.query,
        Connection.begin,
        loaders.relations,
    )

    def counted_lines(pending: PendingIdentities) -> Any:
        done["looks at what waits for a list"] += 1
        return first_line(pending)

    def counted_query(connection: Connection, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        found = query(connection, statement, *parameters)
        done["statements"] += 1
        words = statement.split()
        if words[0] != "SELECT":
            done[f"{words[0]} {words[2] if words[1] in {'INTO', 'FROM'} else words[1]}"] += 1
        done["rows read"] += len(found)
        return found

    def counted_begin(connection: Connection, *arguments: Any) -> None:
        done["transactions"] += 1
        begin(connection, *arguments)

    def counted_relations(*arguments: Any) -> Any:
        done["comparisons with all loaders"] += 1
        return relations(*arguments)

    monkeypatch.setattr(PendingIdentities, "first_line", property(counted_lines))
    monkeypatch.setattr(Connection, "query", counted_query)
    monkeypatch.setattr(Connection, "begin", counted_begin)
    monkeypatch.setattr(loaders, "relations", counted_relations)
    return done


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, former in handlers.items():
        signal.signal(number, former)


def run(emulator: Emulator, folder: Path, lists: int, shift: int, *, in_one_block: bool = False) -> None:
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
        lines = [json.dumps(each).encode() + b"\n" for each in messages]
        target.listen(iter([b"".join(lines)] if in_one_block else lines))  # type: ignore[arg-type]
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


def test_lists_that_one_block_names_are_opened_together(work: Counter[str], tmp_path: Path) -> None:
    done = []
    for lists in (10, 100):
        with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
            run(emulator, tmp_path, lists, 0, in_one_block=True)
            work.clear()
            run(emulator, tmp_path, lists, 0, in_one_block=True)
            done.append(work["transactions"])
    few, many = done
    assert many == few


def test_what_a_window_writes_for_each_list_is_written_together(work: Counter[str], tmp_path: Path) -> None:
    lists = 80
    with Emulator(access_token=TOKEN, ad_account_id=ACCOUNT) as emulator:
        run(emulator, tmp_path, lists, 0, in_one_block=True)
        assert len(emulator.backend.customer_lists()) == lists
    # The window at the end has all rows. Notes are deleted once more when the run ends.
    assert work["INSERT unsettled"] == 1
    assert 1 <= work["DELETE unsettled"] <= 2


def test_names_of_lists_that_come_in_turn_are_checked_once() -> None:
    list_name.cache_clear()
    names = [f"list {number}" for number in range(12_000)]
    for _ in range(2):
        assert [list_name(name)[0] for name in names] == names
    assert list_name.cache_info().misses == len(names)


def test_what_a_run_keeps_for_its_lists_is_seldom_searched_for_garbage() -> None:
    script = (
        "import gc; from target_pinterest_audience import main; from target_pinterest_audience.system import signals; "
        "main._run = lambda run: 0; signals.leave = lambda code: print(*gc.get_threshold()); main.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    younger, young, old = map(int, done.stdout.split())
    assert (younger, young) == gc.get_threshold()[:2]
    assert old >= 1_000


def dispatcher_for(lists: int, account: TwoLists, room: Room) -> tuple[list[ListReference], Dispatcher]:
    """Open so many lists, and return how orders name them and what takes the orders."""
    references = [ListReference(customer_list_name=f"list {number}") for number in range(lists)]
    delivery = Delivery(
        cast("PinterestClient", account), POLICY, logging.getLogger("test"),
        max_identities=1_000, max_bytes=100_000, room=room,
    )  # fmt: skip
    for reference in references:
        account.place(str(reference.customer_list_name), ())
    for reference in references:
        delivery.open(ListPlan(reference, ListType.EMAIL, IfMissing.REFUSE, audience=None))
    return references, Dispatcher(delivery)


def test_lists_that_fill_the_memory_are_sorted_once_for_many_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    length = PendingIdentities.__len__

    def counted(pending: PendingIdentities) -> int:
        nonlocal looks
        looks += 1
        return length(pending)

    monkeypatch.setattr(PendingIdentities, "__len__", counted)
    account = TwoLists()
    references, dispatcher = dispatcher_for(60, account, Room(ahead=1_000, waiting=40))
    for number in range(1_200):
        dispatcher.send(Order(references[number % 60], Operation.ADD, packed(f"{number}"), [number]))
    assert account.updates
    dispatcher.flush()
    dispatcher.stop()
    assert len(account.everybody()) == 1_200
    # A room for ten identities looks at each list twice, to sort it and to send; an order looks at its own list.
    assert 60 <= looks <= 2 * 60 * 1_200 // 10 + 4 * 1_200


def test_a_flush_looks_only_at_lists_for_which_something_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    first_line = cast("Any", PendingIdentities.first_line).fget

    def counted(pending: PendingIdentities) -> Any:
        nonlocal looks
        looks += 1
        return first_line(pending)

    monkeypatch.setattr(PendingIdentities, "first_line", property(counted))
    account = TwoLists()
    references, dispatcher = dispatcher_for(200, account, Room(ahead=1, waiting=1_000))
    for line in range(1, 101):
        dispatcher.send(Order(references[line % 3], Operation.ADD, packed(f"{line}"), [line]))
        dispatcher.flush(line)
        dispatcher.flush(line + 1)
    assert looks <= 2_000
    # Ten requests leave no room for another: the other lists are looked at when their turn comes.
    looks = 0
    for number, reference in enumerate(references):
        dispatcher.send(Order(reference, Operation.ADD, packed(f"other {number}"), [200 + number]))
    dispatcher.flush()
    dispatcher.stop()
    assert len(account.everybody()) == 300
    assert looks <= 2_000


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
