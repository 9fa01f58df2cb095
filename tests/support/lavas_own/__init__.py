"""Lava's own unit tests, run on Lava's runtime and on the in-process runtime, and compared."""
