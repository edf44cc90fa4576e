"""Read our code's log lines."""

import logging

import pytest


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings and errors, except those of a slow broker, which its thread may log at any time."""
    grave = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage() for record in grave if record.name != "feedback_push.dispatch"]
