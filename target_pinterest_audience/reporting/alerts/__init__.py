"""Alerts: which problems are worth one, which alerts stand already, and how they are sent."""
