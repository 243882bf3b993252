"""What people learn of a run: log lines, files, pages, alerts."""
