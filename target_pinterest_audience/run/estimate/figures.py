"""The figures behind an estimate: Pinterest's published limits, and what the benchmarks measured. Pure.

No other module has figures of speed or size. `docs/benchmarks.md` and `docs/scale.md` have the tables that these are
taken from and the commands that measure them. `tests/docs/test_figures.py` compares them: after a new measurement,
change both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STANDARD_WRITES_A_MINUTE: Final = 400
TRIAL_WRITES_A_DAY: Final = 300
"""Pinterest counts the writes of an app, over all lists and ad accounts (`ads_write`)."""

REQUEST_SECONDS: Final = 0.2
"""How long a request to Pinterest is assumed to take. It has not been measured; one list takes one at a time."""

TAP_ROWS_A_SECOND: Final = 44_643
"""What meltanolabs-tap-postgres read from a local server."""

SLOW_DAY: Final = 3
"""How many times as long everything took on this machine on a slow day. The figures below are from a fast one."""

WAITING_IDENTITY_BYTES: Final = 225
"""How much memory an identity takes that waits for its request."""

FURTHER_IDENTITY: Final = 0.66
"""The time of each further identity of a row, as a share of the time of a row of one identity."""

REFUSED_ROOM: Final = 2.7
"""The room of an identity that a row refuses (`operation: remove`), in rooms of one that a row contributes: a refusal
holds under all three algorithms. Measured with SQLite."""

REFUSED_TIME: Final = 6
"""The time of such a row, in times of a row that contributes. Measured with SQLite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What one way of loading rows costs.

    Attributes:
        name: the way, for people.
        rows_a_second: how many rows of one identity a first load took a second.
        row_bytes: the room that a row takes in the ledger.
        identity_bytes: the room that each of its identities takes there.
        log_mb: the room that the database's log takes besides, on the same disk, while a run writes.
        peak_mb: the most memory that a first load took, without a filter.
        filter_bytes: the memory that a filter takes for each row, and for each of its identities.
    """

    name: str
    rows_a_second: int
    row_bytes: int = 0
    identity_bytes: int = 0
    log_mb: int = 0
    peak_mb: int
    filter_bytes: float = 0


SQLITE: Final = Engine(
    name="a SQLite ledger",
    rows_a_second=201_018,
    row_bytes=33,
    identity_bytes=71,
    log_mb=200,
    peak_mb=274,
    filter_bytes=3,
)
POSTGRESQL: Final = Engine(
    name="a PostgreSQL ledger",
    rows_a_second=75_952,  # over 50 million rows, in a server with 4 GB of `shared_buffers`
    row_bytes=123,
    identity_bytes=188,
    peak_mb=177,
)
APPEND: Final = Engine(
    name="`append-only`",
    rows_a_second=556_247,
    peak_mb=64,
)
