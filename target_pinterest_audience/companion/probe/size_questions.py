"""The questions about the size of a request, and the removal of what they and the others added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from target_pinterest_audience.companion.probe import invented
from target_pinterest_audience.companion.probe.findings import Findings, Sure
from target_pinterest_audience.companion.probe.own_list import Outcome, OwnList
from target_pinterest_audience.pinterest.errors import UnavailableError
from target_pinterest_audience.text.counts import identities, several
from target_pinterest_audience.vocabulary import Operation


class Steps(NamedTuple):
    """The sizes of requests to try.

    Other products send from 1,900 to 50,000 values in a request; the target sends 10,000 by default.

    Attributes:
        records: for `records`, in ascending order, up to the first refusal.
        rows: for `records_v2`, likewise.
        smaller: what is tried if the first size is refused.
    """

    records: Sequence[int] = (10_000, 50_000, 100_000)
    rows: Sequence[int] = (10_000,)
    smaller: int = 1_900


STEPS: Final = Steps()


def ask_sizes(own: OwnList, findings: Findings, steps: Steps) -> None:
    """Add more and more identities in one request, first as `records`, then as rows."""
    for key, sizes, content in (
        ("records_size", steps.records, _values),
        ("rows_size", steps.rows, _rows),
    ):
        findings.add(key, *_climb(own, sizes, steps.smaller, content))


def _values(numbers: range) -> Mapping[str, Any]:
    return {"records": invented.emails(numbers)}


def _rows(numbers: range) -> Mapping[str, Any]:
    return {"records_v2": invented.phone_rows(numbers)}


def _climb(
    own: OwnList, sizes: Sequence[int], smaller: int, content: Callable[[range], Mapping[str, Any]]
) -> tuple[Sure, str, list[dict[str, Any]]]:
    """Add more and more identities in one request, and return what was found out.

    Raises:
        UnavailableError: Pinterest answers not even the smallest request.
    """
    evidence: list[dict[str, Any]] = []
    largest = begin = 0
    refusal = None
    for size in sizes:
        outcome = _try(own, content(range(begin, begin + size)), size, may_fail=True)
        evidence.append(outcome.as_evidence())
        if not outcome.accepted:
            refusal = size, outcome
            break
        largest, begin = size, begin + size
        if outcome.uploaded is not None and outcome.uploaded < size:
            answer = f"A request of {size:,} is accepted, but the counter grew by {outcome.uploaded:,} only."
            return Sure.INFERRED, answer, evidence
    if refusal is None:
        return Sure.SEEN, f"{largest:,} or more: all sizes that were tried are accepted.", evidence
    if not largest:
        outcome = _try(own, content(range(smaller)), smaller, may_fail=False)
        evidence.append(outcome.as_evidence())
        largest = smaller if outcome.accepted else 0
    size, outcome = refusal
    accepted = f"{largest:,} are accepted" if largest else f"{smaller:,} are refused"
    if outcome.accepted is None:
        return Sure.INFERRED, f"{accepted}. {size:,} got {outcome.http}, retries included.", evidence
    return Sure.SEEN, f"{accepted}, {size:,} are refused ({outcome.http}).", evidence


def _try(own: OwnList, content: Mapping[str, Any], size: int, *, may_fail: bool) -> Outcome:
    """Add identities in one request, and return what Pinterest answered.

    Args:
        own: the probe's list.
        content: the identities.
        size: how many there are.
        may_fail: whether no clear answer is an answer: the request may be too large for a gateway.

    Raises:
        UnavailableError: there was no clear answer, and it may not fail.
    """
    words = identities(size)
    try:
        return own.change(Operation.ADD, content, words)
    except UnavailableError as error:
        if not may_fail:
            raise
        return own.failed(error, f"PATCH ADD: {words}")


def remove_all(own: OwnList, steps: Steps) -> bool:
    """Remove from the list what this probe added.

    Args:
        own: the probe's list.
        steps: the sizes that were tried; no request is larger than the greatest that was accepted.

    Returns:
        Whether Pinterest accepted the removals.
    """
    values = [each for content in own.sent for each in str(content.get("records") or "").split(",") if each]
    rows = [each for content in own.sent for each in content.get("records_v2") or ()]
    # Removals without a known limit: the smallest step.
    most_values = max(own.largest.get("records", 0), min(steps.records))
    most_rows = max(own.largest.get("records_v2", 0), min(steps.rows))
    is_empty = True
    for begin in range(0, len(values), most_values):
        part = values[begin : begin + most_values]
        outcome = own.change(Operation.REMOVE, {"records": ",".join(part)}, several(len(part), "value", "values"))
        is_empty = is_empty and bool(outcome.accepted)
    for begin in range(0, len(rows), most_rows):
        part_of_rows = rows[begin : begin + most_rows]
        outcome = own.change(Operation.REMOVE, {"records_v2": part_of_rows}, several(len(part_of_rows), "row", "rows"))
        is_empty = is_empty and bool(outcome.accepted)
    own.sent.clear()
    return is_empty
