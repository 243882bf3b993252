"""Estimates what a first load takes: requests, time, room for the ledger, and memory. Pure."""
