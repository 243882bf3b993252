"""Measurements of whole processes, as ratios taken in one run. Traffic goes to the loopback interface only."""
