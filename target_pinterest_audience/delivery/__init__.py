"""Identities wait for a request, and one writer for each list sends them."""
