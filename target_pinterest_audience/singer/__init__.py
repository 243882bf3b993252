"""The Singer target: messages come in, STATE leaves. The only folder that builds on the SDK."""
