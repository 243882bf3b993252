"""Rows that pass through the ledger: from what they say to what must be sent."""
