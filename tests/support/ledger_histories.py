"""Invented histories in real ledgers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

from target_pinterest_audience.ledger.catalogue.runs import CLEAN, RunFeed
from target_pinterest_audience.ledger.history import PRUNE, RUN, SEVERAL_LISTS, Ending, ListFigures, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger

HOUR: Final = 3_600.0
BEGUN: Final = 1_790_000_000.0

_REASONS: Final = ("NOT_AN_EMAIL", "UUID_WITHOUT_DASHES", "KEY_IS_NULL")
_CAUSES: Final = ("delete", "change", "refusal")


def invent(ledger: Ledger, names: Sequence[str], runs: int, *, every: float = HOUR, seed: int = 1) -> float:
    """Enter lists and runs.

    Args:
        ledger: where.
        names: of the lists.
        runs: how many, each tenth a prune, and now and then one that fails.
        every: the seconds from one to the next.
        seed: of what is random.

    Returns:
        When the last one ended, in seconds since 1970.
    """
    chance = random.Random(seed)
    now, run = BEGUN, 0
    with ledger.transaction():
        lists = [ledger.catalogue.lists.add(f"2542620{place:06}", name).number for place, name in enumerate(names)]
        members = dict.fromkeys(lists, 0)
        for place in range(runs):
            now = BEGUN + place * every
            prunes = place % 10 == 9
            if prunes:
                entry = ledger.history.begin(PRUNE, now, acted_on=run)
            else:
                entry = run = begin_run(ledger, "main", now)
            figures = []
            for number in lists:
                causes = _causes(chance, members[number], prunes=prunes)
                removed = sum(causes.values())
                added = 0 if prunes else chance.randrange(40) + (0 if place else 40_000)
                ledger.catalogue.lists.change_members(number, added - removed)
                rows = (members[number] + added - removed) * 9 // 10
                ledger.catalogue.lists.change_contributing_rows(number, rows - members[number] * 9 // 10)
                members[number] += added - removed
                rejected = {} if prunes else {reason: chance.randrange(1, 50) for reason in _REASONS}
                matched = members[number] * 6 // 10 if place > 3 else None
                refused = place % 7 // 6
                figures.append(ListFigures(number, members[number], matched, added, removed, refused, rejected, rows))
                if causes:
                    ledger.history.note_removal(RemovalEntry(entry, number, now + 5, causes, str(10**15 + place)))
            if place == 1:
                figures.append(ListFigures(SEVERAL_LISTS, None, None, 0, 0, 0, {"KEY_IS_NULL": 3}))
            code = chance.choice((0,) * 20 + (4, 6, 143))
            waited = chance.random() * 30 if place % 5 == 0 else 0.0
            error = None if code == 0 else f"It failed with code {code}. Do something about it."
            end_run(
                ledger, entry, Ending(now + 30 + waited, code, 5 + 2 * len(lists), waited, error=error), figures,
                [] if prunes else lists,
            )  # fmt: skip
    return now + HOUR


def begin_run(ledger: Ledger, configuration: str, started: float) -> int:
    run = ledger.catalogue.runs.begin(configuration, {}, started)
    return ledger.history.begin(RUN, started, run)


def end_run(
    ledger: Ledger, entry: int, ending: Ending, figures: Sequence[ListFigures], fed: Sequence[int] = ()
) -> None:
    """Enter how a run or command ended.

    Args:
        ledger: where.
        entry: its number.
        ending: how it ended.
        figures: what it did to lists.
        fed: the lists that the settings of a run feed; none for a command.
    """
    for number in fed:
        ledger.catalogue.loaders.note(number, number, ledger.catalogue.runs.configurations(entry)[entry], entry)
    if fed and ending.exit_code == 0:
        feeds = [RunFeed(number, number, 1, False, False, entry) for number in fed]  # noqa: FBT003 - two of its fields
        ledger.catalogue.runs.end(entry, CLEAN, ending.at, feeds)
    ledger.history.end(entry, ending, figures)


def _causes(chance: random.Random, members: int, *, prunes: bool) -> Mapping[str, int]:
    if not members:
        return {}
    if prunes:
        return {"prune": chance.randrange(1, 200)}
    return {cause: chance.randrange(1, 15) for cause in _CAUSES if chance.random() < 0.7}


def note(ledger: Ledger, figures: ListFigures, kind: str = RUN, started: float = 10.25) -> int:
    with ledger.transaction():
        entry = ledger.history.begin(kind, started)
        ledger.history.end(entry, ENDING, [figures])
    return entry


ENDING = Ending(20.5, 0, 7, 1.25)
