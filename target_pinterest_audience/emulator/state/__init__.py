"""The state of the emulated Pinterest, and the operations on it, without HTTP."""
