"""A fuzzer against a running site: whatever is sent to an endpoint, the answer is none of our own failures."""
