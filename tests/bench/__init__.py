"""Benchmarks, and campaigns that look for what must not happen: python -m tests.bench.NAME NUMBER."""
