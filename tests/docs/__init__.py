"""The documentation: its site, its pictures and its commands."""
