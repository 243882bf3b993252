"""The emulated Pinterest as a web server."""
