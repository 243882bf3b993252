"""Identities wait for a batch, and one writer for each list sends it."""
