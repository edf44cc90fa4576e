"""Attacks on a real site, each with what visitors notice of it."""
