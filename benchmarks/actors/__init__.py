"""Benchmarks of the actor runtime: `python -m benchmarks.actors`."""
