"""The history as one page that needs nothing else: no network, no script."""

from target_pinterest_audience.reporting.page.document import render

__all__ = ["render"]
