"""The membership formula: what each row says, and who belongs on a list as a result. Pure."""
