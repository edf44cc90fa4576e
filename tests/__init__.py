"""Tests: the folders mirror the package; doubles/ and browser/ hold servers and clients outside the application."""
