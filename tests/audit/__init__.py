"""Run external tools against a real site, and print their findings as one table."""
