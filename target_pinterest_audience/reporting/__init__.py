"""What people see of a run: log lines, the report file and page, rejected rows, the progress line, alerts."""
