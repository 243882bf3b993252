"""Turns the values of records into identities. Plain values end here."""
