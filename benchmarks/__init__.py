"""Long measurements; each is a module with run(). ``python -m benchmarks [NAME ...]``."""
