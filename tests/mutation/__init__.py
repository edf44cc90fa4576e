"""Mutation testing: break one line at a time and see that a test turns red."""
