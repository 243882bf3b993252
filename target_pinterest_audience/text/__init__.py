"""Text for people and machines: redacted, safe to show, with counts that agree; web addresses."""
