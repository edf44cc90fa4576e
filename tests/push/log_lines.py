"""Read our code's log lines."""

import logging

import pytest


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Warnings and worse, but for those of a slow broker, which may come at any time from a thread of its own."""
    grave = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage() for record in grave if record.name != "feedback_push.dispatch"]
