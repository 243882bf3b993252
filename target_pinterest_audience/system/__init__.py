"""What the machine gives: files, signals, waits, the version."""
