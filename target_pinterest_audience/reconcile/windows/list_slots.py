"""The lists and slots of a stream's identity columns, by the list name in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from target_pinterest_audience.identities.list_names import NO_LIST

OpenLists = Callable[[Sequence[str]], Sequence[Mapping[str, int]]]
"""Opens the lists that rows name, and returns identity column → list for each list name."""


class ListSlots:
    """Where the identities in each column of a row go. Lists that rows name are opened when the first row names them.

    A block of rows may name thousands of new lists. `prepare` opens them together, which takes much less time.
    """

    def __init__(self, slots: Mapping[str, int], open_lists: OpenLists, lists: Mapping[str, int] | None) -> None:
        """Prepare.

        Args:
            slots: identity column → slot.
            open_lists: opens the lists that rows name.
            lists: identity column → the list that the settings choose; None if each row names its list.
        """
        self._slots = slots
        self._open_lists = open_lists
        self._known: dict[str | None, Mapping[str, tuple[int, int]]] = {NO_LIST: {}}
        """List name → identity column → list and slot."""
        if lists is not None:
            self._note(None, lists)

    def __call__(self, list_name: str | None) -> Mapping[str, tuple[int, int]]:
        """Return identity column → list and slot; nothing for rows that belong on no list.

        Args:
            list_name: the list name in a row; None if the settings choose the list.

        Raises:
            TargetError: the list cannot be opened.
        """
        if list_name not in self._known:
            self.prepare([list_name or NO_LIST])
        return self._known[list_name]

    def prepare(self, list_names: Iterable[str]) -> None:
        """Open the lists that some rows name. Raises as a call does."""
        new = [name for name in dict.fromkeys(list_names) if name not in self._known]
        if new:
            for name, lists in zip(new, self._open_lists(new), strict=True):
                self._note(name, lists)

    def _note(self, list_name: str | None, lists: Mapping[str, int]) -> None:
        self._known[list_name] = {column: (number, self._slots[column]) for column, number in lists.items()}
