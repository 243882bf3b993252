"""Which list the identities of a stream go to."""
