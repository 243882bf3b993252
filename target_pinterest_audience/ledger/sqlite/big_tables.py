"""The tables of a SQLite ledger that may grow larger than memory, and then have layers; see `layers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Table:
    """A table that has layers.

    Attributes:
        name: its name.
        key: the columns of its primary key.
        others: its other columns.
        at: the condition that finds the row of a group at a place; see `bulk`.
        owner: the column that says whose a key is: its source or list.
    """

    name: str
    key: tuple[str, ...]
    others: tuple[str, ...]
    at: str
    owner: str

    @property
    def columns(self) -> str:
        """All columns, for SQL."""
        return ", ".join((*self.key, *self.others))

    @property
    def order(self) -> str:
        """The columns of the key, for SQL."""
        return ", ".join(self.key)

    @property
    def up_to(self) -> str:
        """The condition of all rows up to one with the key `:key_0`, `:key_1`, ..."""
        return f"({self.order}) <= ({', '.join(f':key_{number}' for number in range(len(self.key)))})"

    def of_layer(self, number: int) -> str:
        """Return the name of the table that is a layer."""
        return f"{self.name}_layer_{number}"


ROWS: Final = Table("row_says", ("row_key",), ("source", "seen", "says"), "row_key = {key}", "source")
MEMBERS: Final = Table(
    "members", ("list", "identity"), ("contributors", "refusers"), "list = :list AND identity = {key}", "list"
)
