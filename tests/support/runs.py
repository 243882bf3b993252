"""A run without a process: a ledger in a file, an ad account of plain dicts, and rows that a test writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from target_pinterest_audience.delivery.delivery import Delivery
from target_pinterest_audience.identities.packed import pack_identity
from target_pinterest_audience.identities.tally import StreamTally
from target_pinterest_audience.identities.types import IDENTITY_TYPES
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.sqlite.sqlite_ledger import SqliteLedger
from target_pinterest_audience.membership.events import Kind
from target_pinterest_audience.membership.row import Row, RowWriter
from target_pinterest_audience.pinterest.request import Traffic
from target_pinterest_audience.reconcile.session import Session
from target_pinterest_audience.routing.plan import ListPlan, plan_lists
from target_pinterest_audience.routing.stream import StreamShape
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.settings import LoadMethod, Mode, Settings
from target_pinterest_audience.settings.load import resolve_settings
from tests.support.accounts import Pinterest
from tests.support.messages import address, sha256
from tests.support.waiting import Clock

ACCOUNT: Final = "1"
CUSTOMERS: Final = "customers"


def digest(number: int) -> str:
    """Return a person's identity as Pinterest gets it."""
    return sha256(address(number))


class CountingPinterest(Pinterest):
    """An ad account that counts its requests, as the history of runs wants it."""

    traffic = Traffic()


class Stage:
    """What the parts of a run need around them.

    Attributes:
        account: the ad account.
        clock: the time, which passes only when a test says so.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.account = CountingPinterest()
        self.clock = clock
        self._path = folder / "ledger.db"

    def settings(self, **config: Any) -> Settings:
        given = {
            "ad_account_id": ACCOUNT, "access_token": "x", "api_url": self.account.settings["api_url"],
            "ledger_url": f"sqlite:///{self._path}", "customer_list_name": CUSTOMERS, "batch_size_rows": 2,
            "create_audience": False, "lock_wait_seconds": 0, **config,
        }  # fmt: skip
        return resolve_settings({name: value for name, value in given.items() if value is not None})[0]

    def open_ledger(self) -> Ledger:
        return SqliteLedger(self._path, self.account.settings["api_url"], ACCOUNT, wait_seconds=1)

    def find_ledger(self, *, create: bool) -> Ledger | None:
        return self.open_ledger() if create or self._path.exists() else None

    def delivery(self, settings: Settings) -> Delivery:
        return self.account.delivery(settings, logging.getLogger("test"))

    def shape(self, settings: Settings, stream: str = CUSTOMERS, key: tuple[str, ...] = ("id",)) -> StreamShape:
        """Return the shape of a stream with the columns `id` and `email`."""
        own, columns = settings.for_stream(stream), {"email": IDENTITY_TYPES["EMAIL"]}

        def plan(list_name: str | None) -> dict[str, ListPlan]:
            plans = plan_lists(columns, stream, own, list_name)
            return {column: plans[kind] for column, kind in columns.items()}

        return StreamShape(
            raw_stream=stream,
            properties=("id", "email"),
            source=stream,
            key_properties=key,
            key_schemas={name: {"type": "integer"} for name in key},
            columns=columns,
            plan=plan,
            routed=own.list_name_column is not None,
            removes=own.operation is Mode.REMOVE,
            overwrites=own.load_method is LoadMethod.OVERWRITE,
            tally=StreamTally(stream),
        )

    @contextmanager
    def session(self, **config: Any) -> Iterator[Desk]:
        """Open a session in the ledger, as a run does, and close the ledger in the end."""
        settings = self.settings(**config)
        delivery = self.delivery(settings)
        with closing(self.open_ledger()) as ledger:
            session = Session(ledger, settings, delivery, logging.getLogger("test"), self.clock, lambda: 1e9)
            yield Desk(self, settings, ledger, delivery, session)
            session.stop()


class Desk:
    """A session, with the delivery that it needs.

    Attributes:
        ledger: the ledger.
        delivery: sends to the lists.
        session: the session.
        dispatcher: sends its orders.
    """

    def __init__(self, stage: Stage, settings: Settings, ledger: Ledger, delivery: Delivery, session: Session) -> None:
        self.stage = stage
        self.settings = settings
        self.ledger = ledger
        self.delivery = delivery
        self.session = session
        self.dispatcher = Dispatcher(delivery, session.journal)

    def open(self, stream: str = CUSTOMERS, key: tuple[str, ...] = ("id",)) -> RowWriter:
        return self.session.open(self.stage.shape(self.settings, stream, key))

    def send(self) -> None:
        """Process the window, send the orders, and settle the receipts."""
        self.session.flush()
        self.dispatcher.send_all(self.session.orders())
        self.dispatcher.flush()
        self.session.tidy()

    def unsettled(self, number: int = 1) -> list[list[bytes]]:
        """Return the identities in each note of a list."""
        return [identities for _, identities in self.ledger.notes.unsettled(number)]


def row(person: int, line: int, *, key: int | None = None, kind: Kind = Kind.ARRIVED, name: str | None = None) -> Row:
    """Return a row with one address.

    Args:
        person: whose address.
        line: its line in the stream.
        key: its key; None: the person's number.
        kind: what happened to it.
        name: the list that it names.
    """
    named = {"email": (pack_identity(digest(person)),)}
    record = {"id": person if key is None else key}
    return Row(kind, record, named, ("email",), line, deleted=kind is Kind.DELETED, list_name=name)
