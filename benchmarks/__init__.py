"""Measurements of whole processes, as ratios within one run. Traffic stays on the loopback interface."""
