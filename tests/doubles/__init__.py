"""Test doubles for the outside world: real servers on loopback that do not import the application's code."""
