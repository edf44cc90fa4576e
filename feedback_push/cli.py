"""Register the operator's commands, which the features define; one of them needs no settings."""

import os
import sys

from flask import Flask

from feedback_push import database
from feedback_push.auth.commands import audit_log, user
from feedback_push.feedback.commands import person
from feedback_push.push.commands import vapid_keys


def needs_no_settings() -> bool:
    """Return whether this process runs `vapid generate`, which works before any settings exist."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true" and sys.argv[-2:] == ["vapid", "generate"]


def init_app(app: Flask) -> None:
    """Add the commands to `flask --app wsgi`."""
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        database.enable_migrations(app)
    app.cli.add_command(user)
    app.cli.add_command(audit_log)
    app.cli.add_command(vapid_keys)
    app.cli.add_command(person)
