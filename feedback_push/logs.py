"""Log to standard error, one line per event, in the web server and in the worker."""

import logging
from logging.config import dictConfig


def init_app() -> None:
    """Send the log to standard error; libraries stay at WARNING, because their debug logs contain addresses."""
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
