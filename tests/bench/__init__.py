"""Benchmarks: what the room costs, beside a floor measured in the same run. `python -m tests.bench.NAME`."""
