"""What is claimed, measured: `python -m benchmarks.NAME [--json FILE]`, run by anyone."""
