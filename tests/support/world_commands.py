"""What a person has done to the lists between the runs of a world, dying on the way as runs do."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable
from typing import cast

from target_pinterest_audience.companion.operations.clear import clear
from target_pinterest_audience.companion.operations.forget import Erasure, erase_from_ledger
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.pinterest.client import PinterestClient
from target_pinterest_audience.reconcile.books import Books
from target_pinterest_audience.reconcile.locks import Locks
from target_pinterest_audience.run.dispatcher import Dispatcher
from target_pinterest_audience.settings import Settings
from tests.support.accounts import Fate, Killed
from tests.support.model import forgotten
from tests.support.packing import packed
from tests.support.world import Way, World


class AttendedWorld(World):
    """A world with somebody who forgets people and clears lists."""

    def forget(self, identity: str, *deaths: int, late: tuple[int, ...] = (0,)) -> None:
        """Forget somebody, after dying a few times on the way.

        Args:
            identity: as Pinterest gets it.
            deaths: after how many instants each attempt before the last dies.
            late: see `Way.late`.
        """

        def attempt(ledger: Ledger, settings: Settings) -> None:
            locks, account = Locks(ledger, settings), cast("PinterestClient", self.pinterest)
            erased = erase_from_ledger(ledger, locks, ledger.digester.shorten, [packed(identity)], suppress=True, now=0)
            erasure = Erasure(account, ledger, settings, packed(identity), self.clock, erased=erased)
            for target in erasure.targets():
                erasure.remove_from(target)

        self._attempt(attempt, deaths, late)
        self._model.forget(identity)
        # Whatever rows said or will say.
        self._said = [forgotten(said, identity) for said in self._said]
        assert all(each.identity != identity for each in self.pinterest.everybody() - self._haunted.keys())

    def clear(self, name: str, way: Way, *deaths: int) -> None:
        """Clear a list that is in step, likewise; the source begins a new log after that."""

        def attempt(ledger: Ledger, settings: Settings) -> None:
            entry = ledger.catalogue.lists.pinned(f'customer list "{name}"')
            if entry is None:
                return
            logger = logging.getLogger("test")
            delivery = self._account.delivery(settings, logger)
            books = Books.make(ledger, settings, delivery, logger, self.clock)
            dispatcher = Dispatcher(delivery, books.outbox)
            clear(ledger, books, dispatcher, entry.number)
            books.outbox.tidy()

        assert self.run(way)
        strangers = {each for each in self.pinterest.everybody() if each in self._model.strangers}
        self._attempt(attempt, deaths, way.late)
        self._model.clear(name)
        self.begin_log()
        left = {each for each in self.pinterest.everybody() if each.list_name == name}
        assert left - self._haunted.keys() == {
            each for each in strangers - self._haunted.keys() if each.list_name == name
        }

    def _attempt(
        self, attempt: Callable[[Ledger, Settings], None], deaths: tuple[int, ...], late: tuple[int, ...]
    ) -> None:
        settings = self._target(Way(), Fate(), lambda: 0).settings
        self._account.late = itertools.cycle(late)
        for instants in (*deaths, None):
            self._account.fate = fate = Fate(instants, reads_rows=True)
            with contextlib.suppress(Killed), contextlib.closing(self._ledger(fate)) as ledger:
                attempt(ledger, settings)
            # It may have begun to send something once more.
            self._note_haunted(self.clock.now, survived=False)
        assert fate.left is None
