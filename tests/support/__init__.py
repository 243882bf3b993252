"""Helpers that tests share. No test imports from a module of tests."""
