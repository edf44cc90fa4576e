"""The benchmarks: this project and its peers, measured side by side in one run by `python -m benchmarks`."""
