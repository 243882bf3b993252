"""What this connector remembers of customer lists between runs, since Pinterest never gives their members back."""

from target_pinterest_audience.ledger.catalogue import Catalogue, Feed, RunRecord
from target_pinterest_audience.ledger.history import Ending, History, HistoryEntry, ListFigures, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger, token_store

__all__ = [
    "Catalogue",
    "Ending",
    "Feed",
    "History",
    "HistoryEntry",
    "Ledger",
    "ListFigures",
    "RemovalEntry",
    "RunRecord",
    "open_ledger",
    "token_store",
]
