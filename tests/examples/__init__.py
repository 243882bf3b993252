"""The files in `examples/` as people use them."""
