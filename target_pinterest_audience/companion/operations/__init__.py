"""What the commands do to the ledger and to customer lists."""
