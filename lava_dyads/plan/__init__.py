"""Networks as data: what is wired to what, in which order, and when each part speaks."""
