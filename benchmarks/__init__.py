"""Benchmarks: `python -m benchmarks` measures this project and its peers side by side in one run."""
