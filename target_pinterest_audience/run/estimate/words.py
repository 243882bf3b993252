"""The words of an estimate: one line for each thing that a first load takes, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from target_pinterest_audience.run.estimate import figures
from target_pinterest_audience.run.estimate.first_load import Estimate, Limit
from target_pinterest_audience.settings import Settings
from target_pinterest_audience.text.counts import identities, several

_MEGABYTE: Final = 1_000_000
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400

_WORKERS: Final = {"Standard access": "Pinterest", "target": "the target", "tap": "the tap"}


class Line(NamedTuple):
    """One thing that a first load takes.

    Attributes:
        name: the thing.
        value: how much of it.
        unit: what the value counts.
        detail: the same for people, with its reason.
        warning: whether there is something to do before the load.
    """

    name: str
    value: float
    unit: str
    detail: str
    warning: bool = False


class Known(NamedTuple):
    """What the settings do not say about the load, and is known or assumed all the same.

    Attributes:
        assumed_types: whether the types of the identities are assumed, because nothing names them.
        assumed_lists: whether the number of lists is assumed, although the rows name them.
        free_bytes: how much room the disk of a SQLite ledger has; None if that is not known.
    """

    assumed_types: bool = False
    assumed_lists: bool = False
    free_bytes: int | None = None


def lines(found: Estimate, settings: Settings, known: Known) -> Iterator[Line]:
    """Yield the lines of an estimate.

    Args:
        found: the estimate.
        settings: the settings that it is for.
        known: what they do not say.
    """
    yield _lists(found, known)
    yield _identities(found, known)
    yield _requests(found)
    parts = (_standard(found), _target(found, settings), _tap(found))
    slowest = max(parts, key=lambda each: each.value)
    most = max(slowest.value, *(each.value * figures.SLOW_DAY for each in parts[1:]))
    reason = f"work at the same time, so the slowest decides, here {_WORKERS[slowest.name]}."
    detail = f"{span(slowest.value, most)}: Pinterest, the target and the tap {reason}"
    yield Line("run", slowest.value, "seconds", detail)
    standard, *others = parts
    yield from (standard, _trial(found), *others)
    yield _ledger(found, known)
    yield _memory(found)


def _lists(found: Estimate, known: Known) -> Line:
    names = [f"{load.plan.reference}{_alike(load.count)}" for load in found.loads]
    detail = f"{several(found.lists, 'list', 'lists')}: {'; '.join(names)}."
    if known.assumed_lists:
        detail += (
            " The rows name their lists (`list_name_column`). Give their number with --lists: each takes requests of "
            "its own."
        )
    return Line("lists", found.lists, "lists", detail, known.assumed_lists)


def _alike(count: int) -> str:
    return f", and {several(count - 1, 'list', 'lists')} like it" if count > 1 else ""


def _identities(found: Estimate, known: Known) -> Line:
    detail = f"{identities(found.identities)} in {several(found.rows, 'row', 'rows')}."
    if known.assumed_types:
        detail += (
            " Where the settings have no `identity_columns`, one e-mail address in each row is assumed. If rows hold "
            "more, give --identity once for each, such as --identity EMAIL --identity PHONE."
        )
    else:
        detail += " Every row is assumed to have a value in each identity column, and nobody to be in two rows."
    return Line("identities", found.identities, "identities", detail)


def _requests(found: Estimate) -> Line:
    every = [largest for load in found.loads for largest in load.largest.values()]
    most = max(each.identities for each in every)
    limits = dict.fromkeys(each.limit.value for each in every)
    about = "about " if Limit.ROOM.value in limits else ""
    detail = (
        f"{about}{several(found.writes, 'write', 'writes')}, and at least {several(found.reads, 'read', 'reads')}. "
        f"{several(found.requests, 'write carries', 'writes carry')} up to {identities(most)} each "
        f"({'; '.join(limits)})"
    )
    if found.audiences:
        detail += f"; {several(found.audiences, 'creates an audience', 'create audiences')}"
    return Line("requests", found.writes + found.reads, "requests", f"{detail}.")


def _standard(found: Estimate) -> Line:
    seconds = max(found.standard_seconds, found.one_list_seconds)
    paced = f"an app may write {figures.STANDARD_WRITES_A_MINUTE} times a minute"
    if found.one_list_seconds > found.standard_seconds:
        reason = (
            f"one list takes one request at a time, of {figures.REQUEST_SECONDS:g} s each as is assumed here; {paced}"
        )
    else:
        reason = paced
    return Line("Standard access", seconds, "seconds", f"{duration(seconds)} at Pinterest: {reason}.")


def _trial(found: Estimate) -> Line:
    a_day = figures.TRIAL_WRITES_A_DAY
    if found.trial_days == 1:
        return Line("Trial access", 1, "days", f"1 day: an app may write {a_day} times a day, and that is enough.")
    days = several(found.trial_days, "day", "days")
    detail = (
        f"{days}: an app may write {a_day} times a day. A run ends with exit code 4 when they are used up; start one "
        "each day. Ask Pinterest for Standard access first."
    )
    if figures.APPEND in found.engines:
        detail += (
            " But `append-only` remembers nobody: unless the tap continues at its STATE, each day sends the same "
            "people again. Use `upsert`."
        )
    return Line("Trial access", found.trial_days, "days", detail, warning=True)


def _target(found: Estimate, settings: Settings) -> Line:
    least = found.target_seconds
    rates = " and ".join(
        f"{several(each.rows_a_second, 'row', 'rows')} a second with {each.name}" for each in found.engines
    )
    detail = (
        f"{span(least, least * figures.SLOW_DAY)}: on a fast day the benchmark loaded {rates}, of one identity each; a "
        f"slow day takes {figures.SLOW_DAY} times as long."
    )
    if figures.POSTGRESQL in found.engines:
        detail += " Its server was set up as the guide to the first load says."
    if settings.validate_records:
        detail += " `validate_records` is on, which takes far longer: the benchmark ran without it."
    return Line("target", least, "seconds", detail, settings.validate_records)


def _tap(found: Estimate) -> Line:
    detail = (
        f"{span(found.tap_seconds, found.tap_seconds * figures.SLOW_DAY)}: meltanolabs-tap-postgres read "
        f"{several(figures.TAP_ROWS_A_SECOND, 'row', 'rows')} a second on a fast day. Measure yours with `time`."
    )
    return Line("tap", found.tap_seconds, "seconds", detail)


def _ledger(found: Estimate, known: Known) -> Line:
    engine = next((each for each in found.engines if each is not figures.APPEND), None)
    if engine is None:
        return Line("ledger", 0, "bytes", "none: `append-only` keeps none.")
    log = engine.log_mb * _MEGABYTE
    detail = (
        f"up to {size(found.ledger_bytes)}: {engine.row_bytes} bytes for a row and {engine.identity_bytes} for each "
        "identity, as measured"
    )
    if not log:
        return Line("ledger", found.ledger_bytes, "bytes", f"{detail}, on the server, and its write-ahead log besides.")
    detail += f"; while a run writes, up to {size(log)} more for the write-ahead log."
    needed = found.ledger_bytes + log
    if found.overwrites:
        detail += f" `prune` takes up to {size(found.ledger_bytes)} more for a moment."
    short = known.free_bytes is not None and known.free_bytes < needed
    if known.free_bytes is not None:
        detail += f" Its disk has only {size(known.free_bytes)} free." if short else " Its disk has room for that."
    return Line("ledger", found.ledger_bytes, "bytes", detail, short)


def _memory(found: Estimate) -> Line:
    detail = f"{size(found.memory_bytes)}: the most that the benchmark took, and room for identities that wait."
    if found.ledger_bytes:
        where = "the database server" if figures.POSTGRESQL in found.engines else "the machine"
        growth = "It does not grow with the rows."
        if found.filter_bytes:
            growth = (
                f"{size(found.filter_bytes)} of it tell new rows from known ones; that grows with the rows, up to a "
                "quarter of the memory."
            )
        detail += (
            f" {growth} If {where} has {size(found.ledger_bytes)} more, the system keeps the ledger in memory, and a "
            "lookup is no read from the disk."
        )
    return Line("memory", found.memory_bytes, "bytes", detail)


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < _MEGABYTE:
        return "under 1 MB"
    megabytes = count / _MEGABYTE
    return f"{megabytes:,.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"  # noqa: PLR2004 - a gigabyte


def duration(seconds: float) -> str:
    """Return a duration, rounded as an estimate should be."""
    number, unit = _rounded(seconds)
    return f"{number} {unit}" if number else unit


def span(least: float, most: float) -> str:
    """Return a range of durations, with one unit if they have the same."""
    (low, unit), (high, other) = _rounded(least), _rounded(most)
    if (low, unit) == (high, other):
        return duration(least)
    return (
        f"{low} to {high} {other}"
        if low and unit.rstrip("s") == other.rstrip("s")
        else f"{duration(least)} to {duration(most)}"
    )


def _rounded(seconds: float) -> tuple[str, str]:
    if seconds < _MINUTE:
        return "", "under a minute"
    if seconds < 1.5 * _HOUR:
        minutes = round(seconds / _MINUTE)
        return f"{minutes}", "minute" if minutes == 1 else "minutes"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.1f}", "hours"
    return f"{seconds / _DAY:,.1f}", "days"
