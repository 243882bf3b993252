"""Reconciliation: rows pass through the ledger, and what changed becomes orders."""
