"""Turns bytes into blocks of records."""
