"""Random histories of a source, and random ways for a run to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hypothesis import strategies as st

from target_pinterest_audience.ledger.sqlite.layers import USUAL, Sizes
from tests.support.messages import sha256
from tests.support.model import ANSWERS, ARRAYS, CONSENT, LISTS, NO, SEGMENT, SEGMENTS, Member, email, value
from tests.support.world import Change, Columns, Entry, Mark, Way, change

COLUMNS: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    "customers": [
        ("email", "idfa", "phone", "lr_id"),
        ("email_address", "idfa", "lr_id"),
        ("email", "phone", "lr_id"),
        ("email", "email_address", "idfa"),
        ("email", "contact_email", "idfa"),
        ("contact_email", "lr_id"),
    ],
    "accounts": [("email", "phone", "lr_id"), ("contact_email", "lr_id")],
    "blocked": [("email", "idfa", "phone"), ("contact_email", "idfa")],
    "visitors": [("email",), ("email", "phone"), ("contact_email", "lr_id")],
    "segments": [("email", "phone", "lr_id"), ("email", "idfa"), ("contact_email", "lr_id")],
}
OTHER: Final = 9
"""The number of who is on the lists without the ledger's doing."""
STRANGER: Final = Member(LISTS["EMAIL"], sha256(email(OTHER)))
BAD: Final = {
    **dict.fromkeys(("email", "email_address", "contact_email"), "no address"),
    "idfa": "no uuid",
    "phone": "no phone",
    "lr_id": "no id",
}


MISSING: Final = object()


def cells(column: str, numbers: st.SearchStrategy[int]) -> st.SearchStrategy[object]:
    """A column of a record: mostly good, else null, empty, bad, or not there at all."""
    good: st.SearchStrategy[object] = numbers.map(lambda number: value(column, number))
    if column in ARRAYS:
        elements = st.one_of(good, good, good, st.sampled_from([None, "", BAD[column]]))
        # Some arrays are longer than those that are read in blocks.
        good = st.one_of(good, *[st.lists(elements, max_size=size) for size in (3, 3, 3, 12)])
    return st.one_of(good, good, good, st.sampled_from([MISSING, None, "", BAD[column]]))


@st.composite
def rows(draw: st.DrawFn) -> Change:
    stream = draw(
        st.sampled_from(
            ["customers", "customers", "accounts", "accounts", "blocked", "visitors", "segments", "segments"]
        )
    )
    deleted = draw(st.sampled_from([False, False, True]))
    answer = draw(st.sampled_from([*ANSWERS, MISSING])) if stream == "accounts" else MISSING
    unwanted = deleted or stream == "blocked" or answer in NO
    numbers = st.sampled_from([0, 0, 1, 1, OTHER] if unwanted else [0, 1])
    record: dict[str, object] = {column: draw(cells(column, numbers)) for column in BAD}
    if deleted and draw(st.booleans()):
        record.clear()
    elif stream == "accounts" and not unwanted:
        # A grant without a column lifts what the row refuses in it, so that "yes" and "no" read again after a death can
        # end otherwise than read once.
        record = {column: None if each is MISSING else each for column, each in record.items()}
    record[CONSENT] = answer
    if stream == "segments":
        record[SEGMENT] = draw(st.sampled_from([*SEGMENTS, *SEGMENTS, None, True, MISSING]))
    key = draw(st.sampled_from([*[0, 1] * 5, None]))
    present = {column: each for column, each in record.items() if each is not MISSING}
    return change(stream, key, deleted=deleted, **present)


lates = st.lists(st.sampled_from([0, 0, 0, 1, 2, 5, 1000]), min_size=1, max_size=4).map(tuple)
"""See `Way.late`."""
ways = st.builds(
    Way,
    batch=st.sampled_from([1, 2, 3, 100]),
    window=st.sampled_from([1, 2, 3, 5, 100]),
    pauses=st.lists(st.sampled_from([0, 0, 3, 61]), min_size=1, max_size=5).map(tuple),
    blocks=st.lists(st.sampled_from([1, 2, 3, 10, 50]), min_size=1, max_size=3).map(tuple),
    sizes=st.sampled_from([USUAL, Sizes(young=3, merged=2, filtered=1, counted=1)]),
)
late_ways = st.builds(Way._replace, ways, late=lates)
"""The same, with requests that are carried out late."""


schemas = st.sampled_from([Columns(stream, names) for stream, many in COLUMNS.items() for names in many])
histories: st.SearchStrategy[list[Entry]] = st.lists(
    st.one_of(rows(), rows(), rows(), rows(), schemas, st.just(Mark())), min_size=1, max_size=10
)
