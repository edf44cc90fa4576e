"""The doctor: check everything that notifications need, and say what mends a fault."""
