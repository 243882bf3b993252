"""Generates parts of the documentation: references, the hub's plugin definitions, transcripts and pictures.

`python -m docgen` brings all of them up to date; the tests in `tests/docs` check that they are.
"""
