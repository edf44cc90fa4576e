"""Journeys through a whole site: real web server, real workers, real databases, real Redis."""
