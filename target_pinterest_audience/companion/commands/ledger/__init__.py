"""The commands `pinterest-audience ledger`."""
