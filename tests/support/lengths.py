"""How much of what is random a run of the tests tries: `make test` a little, `make test-all` a lot."""

from __future__ import annotations

import os

IS_LONG = os.environ.get("TEST_LENGTH") == "long"


def examples(few: int, many: int) -> int:
    """Return how many examples to try."""
    return many if IS_LONG else few
