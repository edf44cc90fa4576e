"""Logging: one line an event on standard error, for the web server and the worker alike."""

import logging
from logging.config import dictConfig


def init_app() -> None:
    """Send the log to standard error; the libraries that name addresses in their debug log stay at warning."""
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {"feedback_push": {"level": "INFO"}},
        }
    )
    logging.captureWarnings(True)
