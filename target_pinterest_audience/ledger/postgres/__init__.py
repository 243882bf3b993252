"""The ledger in a PostgreSQL database. It needs the extra `postgres`."""
