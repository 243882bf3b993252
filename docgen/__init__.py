"""What writes the generated parts of the documentation: references, the hub's plugin definition, transcripts.

`python -m docgen` brings all of them up to date; `tests/test_docs_*.py` see to it that they are.
"""
