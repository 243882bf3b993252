"""A client for the part of Pinterest's API v5 that customer lists need."""
