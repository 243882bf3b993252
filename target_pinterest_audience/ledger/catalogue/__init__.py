"""The small tables of a ledger, in SQL that both databases know: one module for each concept."""
