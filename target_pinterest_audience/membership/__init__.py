"""What rows say, and who belongs on a list because of it. Pure."""
