"""Which keys the big tables of a SQLite ledger know, without reading most of their pages."""
