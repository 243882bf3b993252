"""Runs the target as `python -m target_pinterest_audience`."""

from __future__ import annotations

from target_pinterest_audience.main import main

if __name__ == "__main__":
    main()
