"""A demonstration of the target, with invented customers and the emulator."""
