"""Tests: the folders mirror the package; doubles/ and browser/ stand outside the application's door."""
