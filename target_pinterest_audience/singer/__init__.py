"""The Singer target. The only folder that builds on the SDK."""
