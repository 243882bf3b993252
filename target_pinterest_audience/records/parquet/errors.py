"""What makes a Parquet file unreadable."""

from __future__ import annotations


class ParquetError(Exception):
    """The file is damaged, or a part of it is too big. The message is a clause in which "it" is the file."""
