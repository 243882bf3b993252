"""Applies the stream maps and the flattening of the SDK to rows."""
