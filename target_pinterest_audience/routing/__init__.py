"""Routing: which list the identities of a stream go to, and what passes between the stages. Pure."""
