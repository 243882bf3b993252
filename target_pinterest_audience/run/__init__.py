"""One run, from its first message to its last."""
