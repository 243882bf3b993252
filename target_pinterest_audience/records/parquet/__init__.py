"""Reads Parquet files with bounded memory. Imported only by runs that have such files."""
