"""The questions about the size of a request, and the removal of what they and the others added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from target_pinterest_audience.companion.probe import invented
from target_pinterest_audience.companion.probe.findings import Findings, Sure
from target_pinterest_audience.companion.probe.own_list import OwnList, http_words
from target_pinterest_audience.pinterest.errors import UnavailableError
from target_pinterest_audience.vocabulary import Operation


class Steps(NamedTuple):
    """The sizes of requests to try, each in ascending order, up to the first refusal.

    Other products send from 1,900 to 50,000 values in a request; the target sends 10,000 by default.
    """

    records: Sequence[int] = (2_000, 10_000, 50_000, 100_000)
    rows: Sequence[int] = (2_000, 10_000)


STEPS: Final = Steps()


def ask_sizes(own: OwnList, findings: Findings, steps: Steps) -> None:
    """Add more and more identities in one request, first as `records`, then as rows."""
    _climb(own, findings, "records_size", steps.records, lambda numbers: {"records": invented.emails(numbers)})
    _climb(own, findings, "rows_size", steps.rows, lambda numbers: {"records_v2": invented.phone_rows(numbers)})


def _climb(
    own: OwnList,
    findings: Findings,
    key: str,
    sizes: Sequence[int],
    content: Callable[[range], Mapping[str, Any]],
) -> None:
    evidence: list[dict[str, Any]] = []
    largest = begin = 0
    for size in sizes:
        words = f"{size:,} values"
        try:
            outcome = own.change(Operation.ADD, content(range(begin, begin + size)), words)
        except UnavailableError as error:
            if not largest:
                # Pinterest is not available: this has nothing to do with the size.
                raise
            evidence.append(own.failed(error, f"PATCH ADD: {words}").as_evidence())
            answer = f"{largest:,} are accepted. {size:,} got {http_words(error.status, error.code)}, retries included."
            findings.add(key, Sure.INFERRED, answer, evidence)
            return
        evidence.append(outcome.as_evidence())
        if not outcome.accepted:
            accepted = f"{largest:,} are accepted, " if largest else ""
            findings.add(key, Sure.SEEN, f"{accepted}{size:,} are refused ({outcome.http}).", evidence)
            return
        if outcome.uploaded is not None and outcome.uploaded < size:
            answer = f"A request of {size:,} is accepted, but the counter grew by {outcome.uploaded:,} only."
            findings.add(key, Sure.INFERRED, answer, evidence)
            return
        largest = size
        begin += size
    findings.add(key, Sure.SEEN, f"{largest:,} or more: all sizes that were tried are accepted.", evidence)


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
        outcome = own.change(Operation.REMOVE, {"records": ",".join(part)}, f"{len(part):,} values")
        is_empty = is_empty and bool(outcome.accepted)
    for begin in range(0, len(rows), most_rows):
        part_of_rows = rows[begin : begin + most_rows]
        outcome = own.change(Operation.REMOVE, {"records_v2": part_of_rows}, f"{len(part_of_rows):,} rows")
        is_empty = is_empty and bool(outcome.accepted)
    own.sent.clear()
    return is_empty

