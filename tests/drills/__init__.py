"""Attacks as bounded programs on loopback, each printing what a visitor experienced."""
