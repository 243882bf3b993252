"""The customer lists that a message names, so that people who run several loaders know which one it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from target_pinterest_audience.routing.plan import ListReference
from target_pinterest_audience.text.counts import first_of

if TYPE_CHECKING:
    from target_pinterest_audience.routing.orders import ListReport
    from target_pinterest_audience.settings import Settings

_MOST: Final = 3
"""How many lists a message names. Rows can name thousands."""


def chosen_lists(settings: Settings, reports: Iterable[ListReport]) -> list[str]:
    """Return the lists that the settings choose; if streams or rows name them, those of the run.

    Args:
        settings: the settings.
        reports: what was sent to each list.
    """
    choices = [settings.choice_of_lists, *settings.choice_of_lists["streams"].values()]
    references = [ListReference(*map(each.get, ListReference._fields)) for each in choices]
    chosen = [str(each) for each in references if any(each)]
    # Several streams may choose the same list.
    return [*dict.fromkeys(chosen or [label_of(each.name) or each.chosen_by for each in reports])]


def label_of(name: str | None) -> str | None:
    """Return what messages call a list of a name; None if it has none."""
    return f'customer list "{name}"' if name is not None else None


def in_words(lists: Sequence[str]) -> str:
    """Return lists as a phrase; empty if there are none."""
    return first_of(lists, _MOST, "customer list", "customer lists")
