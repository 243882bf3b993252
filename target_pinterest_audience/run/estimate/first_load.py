"""Estimates a first load from the settings and the number of rows. Pure.

An estimate assumes that every row is new, names one valid identity in each identity column, and shares none with
another row. Fewer identities take less of everything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from target_pinterest_audience.delivery.delivery import Room
from target_pinterest_audience.delivery.pending import records_room
from target_pinterest_audience.identities.hashing import HashAlgorithm, hex_digest
from target_pinterest_audience.identities.packed import pack_identity, size_in_records
from target_pinterest_audience.identities.types import IdentityType
from target_pinterest_audience.ledger.sqlite.layers import USUAL
from target_pinterest_audience.routing.plan import ListPlan, ListReference, merge, plan_lists
from target_pinterest_audience.run.estimate import figures
from target_pinterest_audience.run.estimate.figures import Engine
from target_pinterest_audience.settings import LoadMethod, Mode, Settings, StreamSettings
from target_pinterest_audience.settings.paths import sqlite_path
from target_pinterest_audience.vocabulary import Operation, WireFormat


class Limit(Enum):
    """What limits the identities in a request, in the words of a reason."""

    ROWS = "`batch_size_rows`"
    BYTES = "`max_request_bytes`, which is reached before `batch_size_rows`"
    ROOM = "so many lists share the room for identities that wait"


class Largest(NamedTuple):
    """How many identities a request has at most, and why."""

    identities: int
    limit: Limit


class Source(NamedTuple):
    """The rows of one stream.

    Attributes:
        stream: the name of the stream.
        rows: how many rows it has; at least one.
        kinds: the type of each of its identity columns.
        lists: how many lists the rows name, if a column of theirs does (`list_name_column`).
    """

    stream: str
    rows: int
    kinds: Sequence[IdentityType]
    lists: int = 1


@dataclass(frozen=True, slots=True)
class ListLoad:
    """What a first load sends to one list, or to each of several lists that are alike.

    Attributes:
        plan: the list; the first of several.
        count: how many lists are alike.
        sent: how many identities go to each, by the request that they can share.
        largest: wire format → how many identities a request has at most.
    """

    plan: ListPlan
    count: int
    sent: Mapping[tuple[Operation, WireFormat], int]
    largest: Mapping[WireFormat, Largest]

    @property
    def requests(self) -> int:
        """How many requests carry the identities to one of the lists."""
        return sum(math.ceil(count / self.largest[wire].identities) for (_, wire), count in self.sent.items())


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a first load takes.

    Attributes:
        rows: the rows of all streams.
        identities: how many identities are sent.
        loads: what goes to the lists.
        engines: the rows' ways into the lists, with the number of rows of each.
        target_seconds: how long the target takes on a fast day, if Pinterest and the tap never let it wait.
        ledger_bytes: how big the ledger becomes; 0 if there is none.
        filter_bytes: how much memory tells new rows and identities from those in the ledger; 0 if none is needed.
        overwrites: whether `prune` follows, for some of the streams.
    """

    rows: int
    identities: int
    loads: Sequence[ListLoad]
    engines: Mapping[Engine, int]
    target_seconds: float
    ledger_bytes: int
    filter_bytes: int
    overwrites: bool

    @property
    def lists(self) -> int:
        """How many lists are fed."""
        return sum(load.count for load in self.loads)

    @property
    def requests(self) -> int:
        """How many requests carry identities. The first one for a list that does not exist creates it."""
        return sum(load.count * load.requests for load in self.loads)

    @property
    def audiences(self) -> int:
        """How many requests create an audience, at the end of the run."""
        return sum(load.count for load in self.loads if load.plan.audience is not None)

    @property
    def writes(self) -> int:
        """How many requests Pinterest counts as writes."""
        return self.requests + self.audiences

    @property
    def reads(self) -> int:
        """How many requests look up lists and audiences, if each listing has a single page and is read once."""
        references = [load.plan.reference for load in self.loads]
        by_name = any(each.customer_list_name is not None for each in references)
        by_id = sum(each.customer_list_id is not None for each in references)
        by_audience = sum(each.audience_id is not None for each in references)
        # An audience's list is read by its id; the listing of audiences is read at the end.
        return int(by_name) + by_id + 2 * by_audience + 1

    @property
    def standard_seconds(self) -> float:
        """How long an app with Standard access takes for the writes."""
        return self.writes * 60 / figures.STANDARD_WRITES_A_MINUTE

    @property
    def one_list_seconds(self) -> float:
        """How long the requests to the list with the most of them take: it takes one at a time."""
        return max(load.requests for load in self.loads) * figures.REQUEST_SECONDS

    @property
    def trial_days(self) -> int:
        """On how many days an app with Trial access must write."""
        return math.ceil(self.writes / figures.TRIAL_WRITES_A_DAY)

    @property
    def tap_seconds(self) -> float:
        """How long meltanolabs-tap-postgres takes on a fast day."""
        return self.rows / figures.TAP_ROWS_A_SECOND

    @property
    def memory_bytes(self) -> int:
        """The most memory that the target takes."""
        waiting = sum(load.count * max(each.identities for each in load.largest.values()) for load in self.loads)
        peak = max(engine.peak_mb for engine in self.engines) * 1_000_000
        queues = min(waiting, Room().waiting, self.identities) * figures.WAITING_IDENTITY_BYTES
        return peak + queues + self.filter_bytes


def estimate(settings: Settings, sources: Sequence[Source]) -> Estimate:
    """Return what a first load of these rows takes.

    Args:
        settings: the settings.
        sources: the streams with identities; at least one.

    Raises:
        ConfigurationError: a stream's settings contradict each other or its types.
    """
    identities, seconds, ledger_bytes, filter_bytes = 0, 0.0, 0, 0
    engines: Counter[Engine] = Counter()
    for source in sources:
        stream = settings.for_stream(source.stream)
        engine = _engine(settings, stream)
        engines[engine] += source.rows
        identities += _sent(source.rows * len(source.kinds), stream)
        refuses = stream.operation is Mode.REMOVE and engine is not figures.APPEND
        slower, bigger = (figures.REFUSED_TIME, figures.REFUSED_ROOM) if refuses else (1, 1)
        further = figures.FURTHER_IDENTITY * (len(source.kinds) - 1)
        seconds += source.rows / engine.rows_a_second * (1 + further) * slower
        of_row = engine.row_bytes + engine.identity_bytes * bigger * len(source.kinds)
        ledger_bytes += round(source.rows * of_row)
        if source.rows > USUAL.young:
            filter_bytes += round(source.rows * (1 + len(source.kinds)) * engine.filter_bytes)
    overwrites = any(settings.for_stream(each.stream).load_method is LoadMethod.OVERWRITE for each in sources)
    loads = list(_loads(settings, sources))
    rows = sum(each.rows for each in sources)
    return Estimate(rows, identities, loads, engines, seconds, ledger_bytes, filter_bytes, overwrites)


def _sent(identities: int, stream: StreamSettings) -> int:
    """Return how many of the identities in the rows of a stream are sent: all but those that are held out."""
    held_out = stream.holdout[0] if stream.holdout is not None else 0
    return math.ceil(identities * (100 - held_out) / 100)


def _engine(settings: Settings, stream: StreamSettings) -> Engine:
    if stream.load_method is LoadMethod.APPEND_ONLY:
        return figures.APPEND
    in_postgresql = settings.ledger_url is not None and sqlite_path(settings.ledger_url) is None
    return figures.POSTGRESQL if in_postgresql else figures.SQLITE


def _loads(settings: Settings, sources: Iterable[Source]) -> Iterator[ListLoad]:
    """Yield what goes to each list. Streams that feed one list share its requests."""
    plans: dict[ListReference, tuple[ListPlan, int]] = {}
    sent: dict[ListReference, Counter[tuple[Operation, WireFormat]]] = {}
    for source in sources:
        stream = settings.for_stream(source.stream)
        columns = {f"{index}": kind for index, kind in enumerate(source.kinds)}
        operation = Operation.ADD if stream.operation is Mode.ADD else Operation.REMOVE
        lists = min(source.lists, source.rows) if stream.list_name_column is not None else 1
        for kind, plan in plan_lists(columns, source.stream, stream).items():
            known, count = plans.get(plan.reference, (plan, lists))
            plans[plan.reference] = merge(known, plan), max(count, lists)
            identities = _sent(source.rows * source.kinds.count(kind), stream)
            sent.setdefault(plan.reference, Counter())[operation, kind.wire] += math.ceil(identities / lists)
    share = _share(sum(count for _, count in plans.values()))
    for reference, (plan, count) in plans.items():
        largest = {wire: _largest(settings, reference, wire, share) for _, wire in sent[reference]}
        yield ListLoad(plan, count, sent[reference], largest)


def _largest(settings: Settings, reference: ListReference, wire: WireFormat, share: int) -> Largest:
    """Return how many identities of one wire format a request to a list has at most."""
    size = size_in_records([_sample(settings.hash_algorithm, wire)])
    by_bytes = records_room(settings.max_request_bytes, reference.customer_list_name) // size
    limits = ((settings.batch_size_rows, Limit.ROWS), (by_bytes, Limit.BYTES), (share, Limit.ROOM))
    most, limit = min(limits, key=lambda each: each[0])
    return Largest(max(1, most), limit)


def _share(lists: int) -> int:
    """Return how many identities a request has if as many wait for all lists together as may.

    Then half-full batches leave, those of the fullest lists, until enough of the room is free again. Lists that fill
    equally fast are then spread evenly between empty and full; the average is half of what a request has.
    """
    room = Room()
    return min(room.waiting, (room.waiting + room.after_search) // lists)


def _sample(algorithm: HashAlgorithm, wire: WireFormat) -> bytes:
    """Return an identity like those that are sent. Ids that are not hashed are taken to be as long."""
    return pack_identity(hex_digest("sample", algorithm), wire)
