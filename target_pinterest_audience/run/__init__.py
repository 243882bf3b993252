"""One run: put together, and driven from its first message to its last."""
