"""Generates parts of the documentation: references, the hub's plugin definition and transcripts.

`python -m docgen` brings all of them up to date; `tests/test_docs_*.py` check that they are.
"""
