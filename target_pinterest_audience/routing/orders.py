"""What passes between the stages that decide and the stage that sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.text.counts import identities
from target_pinterest_audience.vocabulary import Cause, Operation, by_name, describe_causes
from target_pinterest_audience.watermark import Hold


class AcceptedRemoval(NamedTuple):
    """A request that removed identities from a list.

    Attributes:
        accepted: when Pinterest accepted it, in seconds since 1970.
        causes: why, and how many for each cause.
        request_id: Pinterest's id of the request, which its support asks for; None if the answer had none.
    """

    accepted: float
    causes: Mapping[Cause, int]
    request_id: str | None


def tell_removal(removal: AcceptedRemoval, name: str | None, customer_list_id: str) -> str:
    """Tell a removal as one sentence, for the log.

    Args:
        removal: what Pinterest accepted.
        name: the list's name.
        customer_list_id: its id.
    """
    return (
        f'Removed {identities(sum(removal.causes.values()))} from customer list "{name}" (id {customer_list_id}): '
        f"{describe_causes(by_name(removal.causes))} ({_request(removal)})."
    )


def _request(removal: AcceptedRemoval) -> str:
    return f"request id {removal.request_id}" if removal.request_id is not None else "the answer had no request id"


class ListReport(msgspec.Struct, frozen=True):
    """What was sent to one list, or would be in a dry run.

    Attributes:
        chosen_by: how the settings name it.
        customer_list_id: its id; None if it does not exist.
        name: its name at Pinterest; None if it does not exist.
        members: identities that belong on it at the end, says the ledger; None if it does not know the list.
        matched: people whom Pinterest had found among them by then; None if the run did not come to know.
        status: Pinterest's word for the state of its audience, else for its own when the run began; None if neither
            was told.
        added: identities that Pinterest was told to add.
        removed: identities that Pinterest was told to remove.
        removals: why, and how many for each cause: `delete`, `change`, `refusal`, `prune`, `unfinished` if a run
            that was cut short was about to remove them, or `repeated` if they were removed before.
        refused: identities that Pinterest refused one by one.
        left_out: identities for a list that does not exist and is not to be made.
        requests: requests that Pinterest accepted.
    """

    chosen_by: str
    customer_list_id: str | None
    name: str | None
    members: int | None
    matched: int | None
    status: str | None
    added: int
    removed: int
    removals: dict[str, int]
    refused: int
    left_out: int
    requests: int


def name_list(report: ListReport) -> str:
    """Return what people know a list by."""
    known = report.customer_list_id is not None
    return f'customer list "{report.name}" (id {report.customer_list_id})' if known else report.chosen_by


class Order(NamedTuple):
    """Identities that are to be added to a list or removed from it.

    Attributes:
        list: the list.
        operation: what is to be done with them.
        identities: packed.
        lines: the line of the stream that asks for each.
        cause: why they are removed, if they are.
    """

    list: ListReference
    operation: Operation
    identities: Sequence[bytes]
    lines: Sequence[int]
    cause: Cause = Cause.UNFINISHED


@dataclass(frozen=True, slots=True)
class Batch:
    """The identities of one request.

    Attributes:
        operation: what is done with them.
        identities: packed, each once, in the order in which they came.
        lines: the line of the stream that asks for each.
        hold: keeps each STATE back that covers one of the lines, until the batch is accepted.
        causes: why each is removed; empty if they are added.
        unanswered: whether Pinterest has accepted it, and may still carry out an earlier request with it.
    """

    operation: Operation
    identities: tuple[bytes, ...]
    lines: tuple[int, ...]
    hold: Hold = field(compare=False)
    causes: tuple[Cause, ...] = ()
    unanswered: bool = False

    def part(self, start: int, stop: int) -> Batch:
        """Return some of it."""
        return replace(
            self,
            identities=self.identities[start:stop],
            lines=self.lines[start:stop],
            causes=self.causes[start:stop],
        )

    def count_causes(self, without: Collection[int] = ()) -> Counter[Cause]:
        """Count why identities are removed.

        Args:
            without: the places of those that do not count.
        """
        return Counter(self.causes) - Counter(self.causes[place] for place in without if self.causes)


class Written(NamedTuple):
    """What came of a batch that Pinterest accepted.

    Attributes:
        refused: the places of the identities that it refuses one by one; the others are accepted.
        unanswered: whether an attempt before the accepted one got no answer, so that it may still be carried out.
    """

    refused: list[int]
    unanswered: bool = False


class Receipt(NamedTuple):
    """What came of a batch that Pinterest accepted.

    Attributes:
        list: the list.
        list_id: its id; None if there is no list, so that nothing had to be sent.
        batch: the batch. Whoever has noted what came of it releases its hold.
        refused: the indices of the identities in it that Pinterest refuses one by one; the others are accepted.
        removals: the requests that removed somebody.
    """

    list: ListReference
    list_id: str | None
    batch: Batch
    refused: Sequence[int]
    removals: Sequence[AcceptedRemoval] = ()
