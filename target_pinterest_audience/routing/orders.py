"""Orders, batches and receipts: what passes between the stages that decide and the stage that sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from target_pinterest_audience.identities.packed import split_by_wire, wire_of
from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.text.counts import identities
from target_pinterest_audience.vocabulary import Cause, Operation, WireFormat, by_name, describe_causes
from target_pinterest_audience.watermark import Hold


class AcceptedRemoval(NamedTuple):
    """A request that removed identities from a list.

    Attributes:
        accepted: when Pinterest accepted it, as Unix time.
        causes: cause → the number of identities removed for it.
        request_id: Pinterest's id of the request, which its support asks for; None if the answer had none.
    """

    accepted: float
    causes: Mapping[Cause, int]
    request_id: str | None


def tell_removal(removal: AcceptedRemoval, name: str | None, customer_list_id: str) -> str:
    """Return a sentence about a removal, for the log.

    Args:
        removal: what Pinterest accepted.
        name: the name of the list.
        customer_list_id: its id.
    """
    return (
        f'Removed {identities(sum(removal.causes.values()))} from customer list "{name}" (id {customer_list_id}): '
        f"{describe_causes(by_name(removal.causes))} ({_request(removal)})."
    )


def _request(removal: AcceptedRemoval) -> str:
    return f"request id {removal.request_id}" if removal.request_id is not None else "the answer had no request id"


class ListSize(NamedTuple):
    """How big a list is, by the ledger.

    Attributes:
        members: how many identities belong on it.
        contributing_rows: how many rows contribute at least one identity to it.
    """

    members: int
    contributing_rows: int


def match_percent(matched: int | None, contributing_rows: int | None) -> float | None:
    """Return the match rate of a list: matched people as a share of the rows that contribute to it, in percent.

    It can exceed 100: others may have put people on the list, and Pinterest takes days to see that people left it.

    Args:
        matched: how many people Pinterest has matched; None if it has not reported that.
        contributing_rows: how many rows contribute to the list; None if that is not known.

    Returns:
        The share, with one decimal; None if it is not known, or if no row contributes.
    """
    return round(matched * 100 / contributing_rows, 1) if matched is not None and contributing_rows else None


class ListReport(msgspec.Struct, frozen=True):
    """What was sent to one list, or would be sent without `dry_run`.

    Attributes:
        chosen_by: how the settings refer to the list.
        customer_list_id: its id; None if it does not exist.
        name: its name at Pinterest; None if it does not exist.
        members: how many identities belong on it at the end, by the ledger; None if the ledger does not know the list.
        contributing_rows: how many rows contribute at least one identity to it, by the ledger; None like `members`.
        matched: how many people Pinterest had matched by then; None if it has not reported that yet.
        match_percent: `matched` as a share of `contributing_rows`; None if that is not known.
        status: Pinterest's status of its audience, or of the list itself when the run began; None if unknown.
        added: how many identities Pinterest accepted for addition.
        removed: how many identities Pinterest accepted for removal.
        removals: name of a cause → the number of removals: `delete`, `change`, `refusal`, `prune`, `unfinished` if an
            interrupted run had scheduled them, or `repeated` if they were removed before.
        refused: how many identities Pinterest refused one by one.
        left_out: how many identities were for a list that does not exist and that the target must not create.
        requests: how many requests Pinterest accepted or refused.
    """

    chosen_by: str
    customer_list_id: str | None
    name: str | None
    members: int | None
    contributing_rows: int | None
    matched: int | None
    match_percent: float | None
    status: str | None
    added: int
    removed: int
    removals: dict[str, int]
    refused: int
    left_out: int
    requests: int


def name_list(report: ListReport) -> str:
    """Return the name of a list for people."""
    known = report.customer_list_id is not None
    return f'customer list "{report.name}" (id {report.customer_list_id})' if known else report.chosen_by


class Order(NamedTuple):
    """Identities to add to a list, or to remove from it.

    Attributes:
        list: the list.
        operation: whether to add or to remove them.
        identities: the packed identities.
        lines: the line of the stream that each is sent for; 0 or less for what an earlier run left.
        cause: why they are removed, if they are.
        refused_before: whether Pinterest refused each of them by itself in an earlier run.
    """

    list: ListReference
    operation: Operation
    identities: Sequence[bytes]
    lines: Sequence[int]
    cause: Cause = Cause.UNFINISHED
    refused_before: bool = False

    def by_wire(self) -> Iterator[Order]:
        """Yield the order in parts, one for each wire format."""
        parts = split_by_wire(self.identities)
        if len(parts) == 1:
            yield self
            return
        for indices in parts.values():
            yield self._replace(
                identities=[self.identities[index] for index in indices],
                lines=[self.lines[index] for index in indices],
            )


class MixedOrder(NamedTuple):
    """Identities to add to lists, or to remove from them; each has a list of its own.

    Attributes:
        lists: the list of each identity.
        operation: whether to add or to remove them.
        identities: the packed identities, of any wire format.
        lines: the line of the stream that each is sent for.
        cause: why they are removed, if they are.
    """

    lists: Sequence[ListReference]
    operation: Operation
    identities: Sequence[bytes]
    lines: Sequence[int]
    cause: Cause = Cause.UNFINISHED


@dataclass(frozen=True, slots=True)
class Batch:
    """The identities of one request; all have one wire format.

    Attributes:
        operation: whether to add or to remove them.
        identities: the packed identities, each once, in the order in which they came.
        lines: the line of the stream that each is sent for.
        hold: holds the watermark for these lines until the batch is accepted.
        causes: why each is removed; empty if they are added.
        unanswered: whether Pinterest, which accepted the batch, may still carry out an earlier request for it.
    """

    operation: Operation
    identities: tuple[bytes, ...]
    lines: tuple[int, ...]
    hold: Hold = field(compare=False)
    causes: tuple[Cause, ...] = ()
    unanswered: bool = False

    @property
    def wire(self) -> WireFormat:
        """How its identities are sent."""
        return wire_of(self.identities[0])

    def part(self, start: int, stop: int) -> Batch:
        """Return a part of the batch, from one index up to another."""
        return replace(
            self,
            identities=self.identities[start:stop],
            lines=self.lines[start:stop],
            causes=self.causes[start:stop],
        )

    def pick(self, indices: Sequence[int]) -> Batch:
        """Return a part of the batch that holds the identities of some indices."""
        return replace(
            self,
            identities=tuple(map(self.identities.__getitem__, indices)),
            lines=tuple(map(self.lines.__getitem__, indices)),
            causes=tuple(map(self.causes.__getitem__, indices)) if self.causes else (),
        )

    def count_causes(self, without: Collection[int] = ()) -> Counter[Cause]:
        """Return how many identities are removed for each cause.

        Args:
            without: the indices of identities that do not count.
        """
        return Counter(self.causes) - Counter(self.causes[index] for index in without if self.causes)


class Written(NamedTuple):
    """The outcome of writing a batch to a list.

    Attributes:
        refused: the indices of the identities that Pinterest refused one by one; it accepted the others.
        unanswered: whether an earlier attempt got no answer, so that Pinterest may still carry it out.
        wire_refused: whether Pinterest refuses the wire format, and so all of the identities.
    """

    refused: list[int]
    unanswered: bool = False
    wire_refused: bool = False


class Receipt(NamedTuple):
    """The receipt for a batch that Pinterest accepted.

    Attributes:
        list: the list.
        list_id: its id; None if there is no list, so that nothing had to be sent.
        batch: the batch. The dispatcher releases its hold once the receipt is recorded.
        refused: the indices of the identities that Pinterest refused one by one; it accepted the others.
        removals: the requests that removed identities.
        wire_refused: whether Pinterest refuses the wire format, and so all of the identities.
    """

    list: ListReference
    list_id: str | None
    batch: Batch
    refused: Sequence[int]
    removals: Sequence[AcceptedRemoval] = ()
    wire_refused: bool = False
