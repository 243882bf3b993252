"""Random faults over random streams: whatever Pinterest and the network do, the members end as the contract has them.

The target is the real one, with its threads, its retries and its credentials, over real sockets.
"""

from __future__ import annotations

import itertools
import logging
import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.emulator import Emulator, Fault
from target_pinterest_audience.errors import TargetError
from target_pinterest_audience.ledger.tenure import Tenure
from target_pinterest_audience.run.wiring import make_delivery
from target_pinterest_audience.settings import Settings
from tests.support.accounts import Fate, Killed
from tests.support.contract import assert_contract
from tests.support.memory import MEMORY
from tests.support.messages import sha256
from tests.support.model import LISTS, Member, email, lr_id, member, value
from tests.support.row_histories import COLUMNS, OTHER, histories, ways
from tests.support.world import ACCOUNT, Entry, Way, World

EVERYBODY: Final = frozenset(
    each.identity
    for column in ("email", "idfa", "phone", "lr_id")
    for number in (0, 1, OTHER)
    if (each := member(column, value(column, number))) is not None
)
EXCEPTIONS: Final = {"id": "1", "name": "x", "exceptions": {"code": 1}}


class Live:
    """An ad account behind a socket."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        emulator.backend.reset()
        self.fate = Fate()
        self.failures: tuple[type[BaseException], ...] = (Killed,)
        self.refused: frozenset[str] = frozenset()
        self.tenure = Tenure()
        self.late: Iterator[int] = itertools.repeat(0)
        self.settings: Mapping[str, Any] = {
            "api_url": emulator.url, "access_token": None, "client_id": "emulator-app",
            "client_secret": "emulator-secret", "refresh_token": "emulator-refresh", "max_retries": 2,
            "initial_backoff_ms": 1, "max_backoff_ms": 5,
        }  # fmt: skip

    def place(self, name: str, identities: Iterable[str]) -> None:
        self._emulator.backend.create_list(name, records=identities)

    def everybody(self) -> set[Member]:
        backend = self._emulator.backend
        return {Member(made.name, who) for made in backend.customer_lists() for who in backend.members(made.id)}

    def count_writes(self) -> int:
        return len(self._emulator.backend.writes())

    def haunted(self) -> set[Member]:
        return set()

    def pass_time(self, _now: float) -> None:
        """An emulator carries out at once what it carries out at all."""

    def delivery(self, settings: Settings, logger: logging.Logger) -> Delivery:
        return make_delivery(settings, "chaos", logger, tenure=self.tenure)

    def suffer(self, faults: Iterable[Fault]) -> None:
        """Let things go wrong from now on."""
        self.recover()
        self.failures = (Killed, TargetError)
        for fault in faults:
            self._emulator.backend.inject(fault)
            if fault.record_pattern is not None:
                self.refused |= {fault.record_pattern}
            elif (
                fault.status == 400 or fault.body == EXCEPTIONS or (fault.status == 413 and not fault.more_records_than)
            ):
                # A batch of one that is refused once is a bad row, until the next run.
                self.refused = EVERYBODY

    def recover(self) -> None:
        """Let nothing go wrong any more."""
        self._emulator.backend.clear_faults()
        self.refused = frozenset()
        self.failures = (Killed,)


PLACE: Final = "/ad_accounts/"
"""An exchange of tokens whose answer is lost may leave none that works, and then a person has to sign in."""

METHODS: Final[st.SearchStrategy[str | None]] = st.sampled_from([None, "GET", "POST", "PATCH", "PATCH", "PATCH"])
TIMES: Final = st.sampled_from([1, 1, 1, 2, 3, None])
WHEN: Final[st.SearchStrategy[Any]] = st.sampled_from(["before", "after"])
ANSWERS: Final[st.SearchStrategy[dict[str, Any]]] = st.sampled_from(
    [
        {"reset": True}, {"reset": True}, {"half_body": True}, {"status": 500}, {"status": 503},
        {"status": 502, "body": "<html>"}, {"status": 504}, {"status": 401}, {"status": 403}, {"status": 404},
        {"status": 429, "headers": {"Retry-After": "7200"}}, {"status": 400}, {"status": 413},
    ]
)  # fmt: skip
UNCLEAR: Final[st.SearchStrategy[dict[str, Any]]] = st.sampled_from(
    [{"reset": True}, {"half_body": True}, {"status": 502, "body": "<html>"}, {"status": 200, "body": "OK"}]
)
NONSENSE: Final[st.SearchStrategy[dict[str, Any]]] = st.sampled_from(
    [{"status": 200, "body": "OK"}, {"status": 200, "body": ""}, {"status": 200, "body": EXCEPTIONS}]
)


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    kind = draw(st.sampled_from(["answer", "answer", "nonsense", "creation", "person", "size", "limit"]))
    skip, times = draw(st.sampled_from([0, 0, 0, 1, 2, 3])), draw(TIMES)
    if kind == "creation":
        return Fault(method="POST", path=r"/customer_lists$", times=times, when=draw(WHEN), **draw(UNCLEAR))
    if kind == "person":
        return Fault(method="PATCH", record_pattern=draw(st.sampled_from(sorted(EVERYBODY))), times=None)
    if kind == "limit":
        # Without an end it would be waited for, for an hour.
        headers = draw(st.sampled_from([{}, {"Retry-After": "0"}, {"x-ratelimit-reset": "soon"}]))
        return Fault(method=draw(METHODS), path=PLACE, skip=skip, times=times or 9, status=429, headers=headers)
    if kind == "size":
        return Fault(more_records_than=draw(st.integers(1, 2)), status=413, times=None)
    if kind == "nonsense":
        return Fault(method="PATCH", skip=skip, times=times, when=draw(WHEN), **draw(NONSENSE))
    answer = draw(ANSWERS)
    if answer.get("status") == 404:
        # A list that is new is waited for, for two minutes.
        times = times or 9
    method, when = draw(METHODS), draw(WHEN)
    if answer.get("status") == 401 and method in {None, "POST"}:
        # Who is not let in has made nothing.
        when = "before"
    return Fault(method=method, path=PLACE, skip=skip, times=times, when=when, **answer)


class Step(NamedTuple):
    """What happens at the source, and how the run after it fares."""

    entries: list[Entry]
    way: Way
    faults: list[Fault]
    dies: int | None


steps = st.builds(
    Step,
    histories,
    ways,
    st.lists(faults(), min_size=1, max_size=4),
    st.one_of(st.none(), st.none(), st.integers(0, 40)),
)


@pytest.fixture(scope="module")
def pinterest() -> Iterator[Emulator]:
    with Emulator(
        ad_account_id=ACCOUNT, processing_seconds=0, random=random.Random(1), ads_write_per_minute=10**6,
        ads_read_per_minute=10**6, org_read_per_minute=10**6,
    ) as server:  # fmt: skip
        yield server


@pytest.mark.slow
@pytest.mark.timeout(1200)  # some hundred runs, on whatever machine
@given(history=st.lists(steps, min_size=1, max_size=3), strangers=st.booleans())
@settings(max_examples=250, deadline=None, derandomize=True)
def test_the_members_are_right_in_the_end_whatever_fails(
    pinterest: Emulator, *, history: list[Step], strangers: bool
) -> None:
    there = [Member(LISTS["EMAIL"], sha256(email(OTHER))), Member(LISTS["LR_ID"], lr_id(OTHER))] if strangers else []
    account = Live(pinterest)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        columns = {stream: choices[0] for stream, choices in COLUMNS.items()}
        world = World(Path(folder), columns, there, account)
        for step in history:
            world.happen(*step.entries)
            account.suffer(step.faults)
            event(f"survived: {world.run(step.way, step.dies, early=True)}")
        account.recover()
        assert world.run()
        world.repeat()
    assert_contract(pinterest.backend.calls)
    names = [made.name for made in pinterest.backend.customer_lists()]
    assert len(names) == len(set(names)), "a list was made twice"
