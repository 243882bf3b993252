"""What this connector remembers of customer lists between runs, since Pinterest never gives their members back."""

from target_pinterest_audience.ledger.catalogue import Catalogue, Feed, RunRecord
from target_pinterest_audience.ledger.history import Ending, History, HistoryEntry, ListFigures, RemovalEntry
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import ledger_exists, open_ledger, place_of, token_store

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
    "ledger_exists",
    "open_ledger",
    "place_of",
    "token_store",
]
