"""Services of the machine: files, signals, waits, the version."""
