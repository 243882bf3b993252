"""The questions about values: how a list is created from rows, rows of two fields, device ids, and invalid values."""

from __future__ import annotations

from typing import Final

from target_pinterest_audience.companion.probe import invented
from target_pinterest_audience.companion.probe.findings import Findings, Sure
from target_pinterest_audience.companion.probe.own_list import Outcome, OwnList
from target_pinterest_audience.errors import TargetError
from target_pinterest_audience.vocabulary import ListType, Operation

_LIST_TYPE: Final = ListType.EMAIL.value


class NoListError(TargetError):
    """Pinterest accepted no list of the probe, so that nothing else can be asked."""

    exit_code = 5


def ask_creation(own: OwnList, findings: Findings, *, with_type_first: bool) -> None:
    """Create the list from rows, without a list type and with one, until an attempt succeeds.

    Lists cannot be deleted, so what comes after the first success is not asked.

    Args:
        own: the probe's list.
        findings: the findings so far.
        with_type_first: whether to ask with a list type first.

    Raises:
        NoListError: Pinterest refused to create the list in every form.
    """
    keys = [("rows_without_list_type", None), ("rows_with_list_type", _LIST_TYPE)]
    why = "An earlier probe created the list, and only a creation has list_type." if own.exists else None
    for key, list_type in reversed(keys) if with_type_first else keys:
        if why is not None:
            findings.add(key, Sure.NOT_ASKED, why)
            continue
        outcome = own.create(invented.phone_rows(["creation"]), list_type)
        findings.add(key, *_of_creation(outcome, own), [outcome.as_evidence()])
        why = "A second list would stay in the account: lists cannot be deleted." if own.exists else None
    if why is None:
        outcome = own.create(invented.emails(["creation"]), _LIST_TYPE)
        if not own.exists:
            msg = (
                f"Pinterest refused to create the probe's list, also from records ({outcome.http}), so nothing else "
                "can be asked. The report has the answers."
            )
            raise NoListError(msg)


def _of_creation(outcome: Outcome, own: OwnList) -> tuple[Sure, str]:
    if outcome.accepted:
        return Sure.SEEN, f"Yes ({outcome.http})."
    if outcome.exceptions is not None:
        return Sure.SEEN, f"The list is created, but {outcome.http} reports exceptions."
    if not own.exists:
        return Sure.SEEN, f"No ({outcome.http})."
    return Sure.INFERRED, f"The list exists, although the answer was {outcome.http}."


def ask_rows(own: OwnList, findings: Findings) -> None:
    """Add a row of two fields, and remove one of them.

    Pinterest shows no members. What a removal did can only be seen if the counter of removed records counts those that
    were found. Its description says that it counts all.
    """
    email, number = invented.email("two fields"), invented.phone("two fields")
    row = {"email": email, "hashed_phone_number": number}
    added = own.change(Operation.ADD, {"records_v2": [row]}, "1 row of 2 fields")
    if not added.accepted:
        findings.add("row_of_two_fields", Sure.SEEN, f"No ({_http(added)}).", [added.as_evidence()])
        findings.add("removal_of_one_field", Sure.NOT_ASKED, "Pinterest does not accept a row of two fields.")
        return
    counted = "" if added.uploaded is None else f" The counter of uploaded records grew by {added.uploaded}."
    findings.add("row_of_two_fields", Sure.SEEN, f"Yes ({added.http}).{counted}", [added.as_evidence()])
    absent = {"email": invented.email("never added"), "hashed_phone_number": invented.phone("never added")}
    half = own.change(
        Operation.REMOVE, {"records_v2": [absent, {"email": email}]}, "1 row that was never added, 1 field of the row"
    )
    evidence = [half.as_evidence()]
    if not half.accepted:
        findings.add("removal_of_one_field", Sure.SEEN, f"Pinterest refuses it ({_http(half)}).", evidence)
        return
    whole_removed = None
    if half.removed == 1:
        whole = own.change(Operation.REMOVE, {"records_v2": [row]}, "the row of 2 fields")
        whole_removed = whole.removed
        evidence.append(whole.as_evidence())
    findings.add("removal_of_one_field", *_of_removal(half.removed, whole_removed), evidence)


def _of_removal(half: int | None, whole: int | None) -> tuple[Sure, str]:
    """Return what a removal of one field does.

    Args:
        half: by how much the counter grew for an absent row and one field of a present row.
        whole: by how much it grew for the whole row after that; None if that was not sent or not counted.
    """
    if half == 0:
        return Sure.INFERRED, "Nothing: the row stays as it is."
    if half == 1 and whole == 1:
        return Sure.INFERRED, "It removes that field, and the rest of the row stays."
    if half == 1 and whole == 0:
        return Sure.INFERRED, "It removes the whole row."
    why = "the counter counts absent records too" if half and half > 1 else "the counter does not show it"
    return Sure.UNDECIDED, f"Pinterest accepts it, but its effect cannot be seen: {why}."


def ask_device_ids(own: OwnList, findings: Findings) -> None:
    """Add a plain device id twice in upper case and once in lower case.

    What Pinterest makes of digests of either case cannot be seen: an invented id matches nobody.
    """
    upper, lower = invented.DEVICE_ID, invented.DEVICE_ID.lower()
    both = own.change(Operation.ADD, {"records": f"{upper},{upper},{lower}"}, "1 device id, 2 x upper, 1 x lower case")
    evidence = [both.as_evidence()]
    if both.accepted:
        findings.add("device_id_case", *_of_case(both.uploaded), evidence)
        return
    alone = own.change(Operation.ADD, {"records": upper}, "the device id in upper case")
    evidence.append(alone.as_evidence())
    if alone.accepted:
        findings.add("device_id_case", Sure.SEEN, f"Yes: lower case is refused ({_http(both)}).", evidence)
    else:
        findings.add(
            "device_id_case", Sure.UNDECIDED, f"Plain device ids are refused on this list ({_http(alone)}).", evidence
        )


def _of_case(uploaded: int | None) -> tuple[Sure, str]:
    if uploaded == 1:
        return Sure.INFERRED, "No: both cases count as one id."
    if uploaded == 2:  # noqa: PLR2004 - two of three values are the same
        return Sure.INFERRED, "Yes: the two cases count as two ids."
    return Sure.UNDECIDED, "Both cases are accepted. The counter does not show whether they are one id."


def ask_exceptions(own: OwnList, findings: Findings) -> None:
    """Add a value that is not an identity, and a text in place of a digest, until Pinterest objects."""
    attempts = (
        ({"records": invented.NO_IDENTITY}, "1 value that is not an identity"),
        ({"records_v2": [{"hashed_phone_number": invented.NO_DIGEST}]}, "1 row without a digest"),
    )
    evidence = []
    for content, words in attempts:
        outcome = own.change(Operation.ADD, content, words)
        evidence.append(outcome.as_evidence())
        field = next(iter(content))
        if outcome.exceptions is not None:
            answer = f"{outcome.http} with exceptions, for {words} in {field}. The report has their form."
            findings.add("exceptions", Sure.SEEN, answer, evidence)
            return
        if not outcome.accepted:
            answer = f"{outcome.http} without exceptions, for {words} in {field}."
            findings.add("exceptions", Sure.SEEN, answer, evidence)
            return
    findings.add("exceptions", Sure.SEEN, "It reports nothing: such values are accepted.", evidence)


def _http(outcome: Outcome) -> str:
    return outcome.http if outcome.exceptions is None else f"{outcome.http} with exceptions"
