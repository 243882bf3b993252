"""Marks in bulk: the keys of the rows that a run saw, written in order instead of a mark at each row."""
