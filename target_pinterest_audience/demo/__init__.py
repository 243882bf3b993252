"""Shows a newcomer what the target does, with invented customers and the emulator."""
