"""Reads Parquet files with bounded memory. Only runs that have such files import the reader."""
