"""The history as one HTML page without scripts that needs no network."""

from target_pinterest_audience.reporting.page.document import render

__all__ = ["render"]
