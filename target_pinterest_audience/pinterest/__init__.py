"""The part of Pinterest's API v5 that customer lists need."""
