"""A fuzzer against a running site: no request may cause an internal error."""
