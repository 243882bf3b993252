"""The commands of `pinterest-audience` that need settings, one module each."""
