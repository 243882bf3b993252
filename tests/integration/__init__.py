"""The target among real parts: PostgreSQL, tap-postgres and Meltano."""
