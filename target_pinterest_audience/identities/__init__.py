"""From the values of a record to identities. Plain values end here."""
