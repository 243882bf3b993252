"""Windows: events of rows that are looked up in the ledger together, and what they change there."""
