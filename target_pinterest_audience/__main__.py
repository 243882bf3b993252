"""Lets `python -m target_pinterest_audience` run the target."""

from __future__ import annotations

from target_pinterest_audience.main import main

if __name__ == "__main__":
    main()
