"""Checks the streams of a run against the settings."""
