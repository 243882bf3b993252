"""The figures of a run for Prometheus."""
