"""Records in the ledger who runs a command that changes who is on lists."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from target_pinterest_audience.companion.session import warn_of_unrecorded_end
from target_pinterest_audience.errors import LedgerError, outcome
from target_pinterest_audience.ledger.catalogue.audit import Act
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.system.operator import this_operator


@contextmanager
def audited(
    ledger: Ledger, command: str, *, reference: str | None = None, list_number: int | None = None
) -> Iterator[dict[str, int]]:
    """Record a command before it acts, and at the end of the block how it ended.

    A dry run leaves no record, since its ledger keeps nothing.

    Args:
        ledger: the ledger.
        command: the name of the command.
        reference: the number of the request; None if none was given.
        list_number: the list that the command is about; None if it is about several.

    Yields:
        Where the block puts its counts.
    """
    counts: dict[str, int] = {}
    user, host = this_operator()
    act = Act(command, time.time(), None, None, user, host, reference, list_number, counts)
    number = ledger.transact(lambda: ledger.audit.begin(act))
    exit_code = 0
    try:
        yield counts
    except BaseException as error:
        exit_code, _ = outcome(error, "pinterest-audience")
        raise
    finally:
        try:
            ledger.transact(lambda: ledger.audit.end(number, time.time(), exit_code, counts))
        except LedgerError as error:
            # It must not replace what ended the command.
            warn_of_unrecorded_end(error)
