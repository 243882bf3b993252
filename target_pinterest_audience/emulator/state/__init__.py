"""What the emulated Pinterest keeps, and what its operations do to it. No HTTP in here."""
