"""Demonstration data: fill a site with messages that nobody wrote, and take them away again."""
