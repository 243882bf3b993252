"""What this connector remembers of customer lists between runs, since Pinterest never gives their members back."""

from target_pinterest_audience.ledger.catalogue import Catalogue, Feed, RunRecord
from target_pinterest_audience.ledger.ledger import Ledger
from target_pinterest_audience.ledger.open import open_ledger, token_store

__all__ = ["Catalogue", "Feed", "Ledger", "RunRecord", "open_ledger", "token_store"]
