"""Sources: the keys, columns and lists of each table, and the other loaders that read it."""
