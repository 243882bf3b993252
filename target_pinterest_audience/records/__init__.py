"""From bytes to blocks of records."""
