"""The program `pinterest-audience`, the companion of the target."""
