"""When a run dies, and an ad account of plain dicts whose every request is an instant to die in."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.identities.packed import Records
from target_pinterest_audience.ledger.tenure import Tenure
from target_pinterest_audience.membership.healing import SAFE_SECONDS
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.pinterest.errors import NotFoundError
from target_pinterest_audience.pinterest.models import Audience, CustomerList
from target_pinterest_audience.pinterest.request import Answer
from target_pinterest_audience.pinterest.retry import RetryPolicy
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.vocabulary import ListType, Operation
from tests.support.model import Member

_POLICY: Final = RetryPolicy(retries=0, initial_seconds=0, max_seconds=0, connect_seconds=1, read_seconds=1)


class Killed(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class Fate:
    """When a run dies.

    Attributes:
        left: how many instants it survives, once it reads rows; None for all.
        last: the name of the instant that it does not survive; None if any will do.
        reads_rows: whether it has come so far.
        passed: the instants that it saw.
    """

    left: int | None = None
    last: str | None = None
    reads_rows: bool = False
    passed: list[str] = field(default_factory=list)

    def instant(self, name: str) -> None:
        """Let an instant pass, or die in it; the dead stay dead.

        Raises:
            Killed: it is the last.
        """
        if self.left is not None and self.reads_rows:
            if self.left <= 0:
                raise Killed
            self.left -= 1
        if name == self.last:
            self.left, self.reads_rows = 0, True
            raise Killed
        self.passed.append(name)


def identities_in(records: Records) -> list[str]:
    """Return the identities in a request; a row as the emulator shows it."""
    if isinstance(records, str):
        return records.split(",")
    return [f"{name}:{value}" for row in records for name, value in row.items()]


@dataclass(slots=True)
class Ghost:
    """A request that got no answer, and is carried out later.

    Attributes:
        list_id: the list.
        operation: what it does.
        identities: with whom.
        requests: before how many further requests it is carried out; at its end at the latest.
        end: until when it can be, in seconds.
    """

    list_id: str
    operation: Operation
    identities: frozenset[str]
    requests: int
    end: float


class Account(Protocol):
    """An ad account, as the world has to do with it.

    Attributes:
        fate: of the run that there is now.
        settings: what the target is told of it.
        failures: how a run may end before its end.
        refused: the identities that it takes from nobody, for now.
        tenure: asked before each request that changes a list.
        late: for each request that changes a list, before how many further ones an attempt without an answer is carried
            out; 0: there is none.
    """

    fate: Fate
    settings: Mapping[str, Any]
    failures: tuple[type[BaseException], ...]
    refused: frozenset[str]
    tenure: Tenure
    late: Iterator[int]

    def place(self, name: str, identities: Iterable[str]) -> object:
        """Make a list that is there before any run."""
        ...

    def everybody(self) -> set[Member]:
        """Return who is on the lists."""
        ...

    def count_writes(self) -> int:
        """Return how many requests have changed a list."""
        ...

    def delivery(self, settings: Settings, logger: logging.Logger) -> Delivery:
        """Return the way of a run to the lists."""
        ...

    def haunted(self) -> set[Member]:
        """Return whom requests are about that got no answer since this was called last."""
        ...

    def pass_time(self, now: float) -> None:
        """Let it be so late; what can be carried out no longer than that is carried out before."""
        ...


class Pinterest:
    """An ad account of plain dicts.

    Attributes:
        is_nca: the id of a list → whether it is for new customer acquisition; of other lists the account does not tell.
            As in recorded live answers, only the listing has it.
    """

    settings: Mapping[str, Any] = {"api_url": "https://127.0.0.1"}
    failures: tuple[type[BaseException], ...] = (Killed,)
    refused: frozenset[str] = frozenset()
    request_id: str | None = None

    def __init__(self) -> None:
        self.fate = Fate()
        self.members: dict[str, set[str]] = {}
        self.writes: list[tuple[str, frozenset[str]]] = []
        self.tenure = Tenure()
        self.late: Iterator[int] = itertools.repeat(0)
        self.ghosts: list[Ghost] = []
        self._now = 0.0
        self._haunted: set[Member] = set()
        self.names: dict[str, str] = {}
        self.is_nca: dict[str, bool] = {}
        self._audiences: list[Audience] = []

    def place(self, name: str, identities: Iterable[str]) -> CustomerList:
        made = CustomerList(str(len(self.members) + 1), name)
        self.members[made.id] = set(identities)
        self.names[made.id] = name
        return made

    def everybody(self) -> set[Member]:
        return {Member(self.names[number], who) for number, those in self.members.items() for who in those}

    def count_writes(self) -> int:
        return len(self.writes)

    def delivery(self, settings: Settings, logger: logging.Logger) -> Delivery:
        client = cast("PinterestClient", self)
        return Delivery(client, _POLICY, logger, max_identities=settings.batch_size_rows, max_bytes=100_000)

    def haunted(self) -> set[Member]:
        found, self._haunted = self._haunted, set()
        return found

    def pass_time(self, now: float) -> None:
        self._carry_out([each for each in self.ghosts if each.end <= now])
        self._now = now

    def _haunt(self, list_id: str, operation: Operation, identities: Iterable[str], requests: int) -> None:
        """Let a request go unanswered, to be carried out before so many further ones; not at all if they are 0."""
        if requests:
            ghost = Ghost(list_id, operation, frozenset(identities), requests, self._now + SAFE_SECONDS)
            self.ghosts.append(ghost)
            self._haunted |= {Member(self.names[list_id], each) for each in ghost.identities}

    def _carry_out(self, due: Iterable[Ghost]) -> None:
        for ghost in due:
            self.ghosts.remove(ghost)
            self._change(ghost.list_id, ghost.operation, ghost.identities)

    def _change(self, list_id: str, operation: Operation, identities: Iterable[str]) -> None:
        members = self.members[list_id]
        (members.update if operation is Operation.ADD else members.difference_update)(identities)

    @contextlib.contextmanager
    def _request(self, name: str) -> Iterator[None]:
        if name != "look":
            self.tenure.ensure()
        for ghost in self.ghosts:
            ghost.requests -= 1
        self._carry_out([each for each in self.ghosts if each.requests <= 0])
        self.fate.instant(f"before {name}")
        yield
        self.fate.instant(f"after {name}")

    def stop(self) -> None:
        """Whoever stops asks for nothing more."""

    def close(self) -> None:
        """There are no tokens to exchange."""

    def customer_lists(self) -> Iterator[CustomerList]:
        with self._request("look"):
            return iter([CustomerList(each, name, is_nca=self.is_nca.get(each)) for each, name in self.names.items()])

    def customer_list(self, list_id: str) -> CustomerList:
        if list_id not in self.names:
            raise NotFoundError(list_id)
        return CustomerList(list_id, self.names[list_id])

    def create_customer_list(
        self, name: str, _list_type: ListType, records: Records, *, is_nca: bool | None = None
    ) -> CustomerList:
        identities = identities_in(records)
        with self._request("create"):
            assert name not in self.names.values(), "a list was made twice"
            self.writes.append(("ADD", frozenset(identities)))
            made = self.place(name, identities)
            self.is_nca[made.id] = bool(is_nca)
            return made

    def update_customer_list(self, list_id: str, operation: Operation, records: Records) -> Answer[CustomerList]:
        identities, late = identities_in(records), next(self.late)
        answered = False
        try:
            with self._request("update"):
                answered = True
                self.writes.append((operation.value, frozenset(identities)))
                self._change(list_id, operation, identities)
        except Killed:
            if not answered:
                self._haunt(list_id, operation, identities, late)
            raise
        self._haunt(list_id, operation, identities, late)
        return Answer(self.customer_list(list_id), None, 0.0, unanswered=late > 0)

    def audiences(self) -> Iterator[Audience]:
        return iter(self._audiences)

    def create_audience(self, name: str, customer_list_id: str, _description: str | None = None) -> Audience:
        with self._request("audience"):
            made = Audience(
                str(len(self._audiences) + 1), name, "CUSTOMER_LIST", {"customer_list_id": customer_list_id}
            )
            self._audiences.append(made)
        return made


class TwoLists(Pinterest):
    """An ad account with the lists `a` and `b`, whose updates a test can delay or let fail.

    Attributes:
        updates: the lists of the updates so far.
        on_update: called with the list of each update, before it is carried out.
    """

    def __init__(self, on_update: Callable[[str], object] = str) -> None:
        super().__init__()
        self.updates: list[str] = []
        self.on_update = on_update
        self.place("a", ())
        self.place("b", ())

    def update_customer_list(self, list_id: str, operation: Operation, records: Records) -> Answer[CustomerList]:
        self.updates.append(list_id)
        self.on_update(list_id)
        return super().update_customer_list(list_id, operation, records)
