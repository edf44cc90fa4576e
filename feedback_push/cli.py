"""Register the operator's commands, which the features define; one of them needs no settings."""

import os
import sys

from flask import Flask

from feedback_push import database
from feedback_push.alarms.commands import drill
from feedback_push.auth.commands import audit_log, user
from feedback_push.backup.commands import backup, restore
from feedback_push.demo.commands import demo
from feedback_push.doctor.commands import doctor
from feedback_push.feedback.commands import person, resend
from feedback_push.imports.commands import import_file
from feedback_push.installation import COMMAND
from feedback_push.push.commands import push, vapid_keys
from feedback_push.secret_rotation import group as secret

_WITH_VALUE = {"-A", "--app", "-e", "--env-file"}  # options of `flask` itself


def command() -> str:
    """Return the name of the command that this process runs, or an empty string in any other program."""
    words = iter(sys.argv[1:] if os.environ.get("FLASK_RUN_FROM_CLI") == "true" else ())
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def runs_with_invalid_settings() -> bool:
    """Return whether this process runs a command that examines the settings, or brings them back."""
    return command() in ("doctor", "restore")


def needs_no_settings() -> bool:
    """Return whether this process shows help or runs `vapid generate`, which work before any settings exist."""
    words = sys.argv[1:]
    shows_help = not words or "--help" in words
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true" and (shows_help or words[-2:] == ["vapid", "generate"])


def init_app(app: Flask) -> None:
    """Add the commands to `feedback-push` and `flask --app wsgi`."""
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        database.enable_migrations(app)
    app.jinja_env.globals["command_name"] = COMMAND
    app.cli.add_command(user)
    app.cli.add_command(audit_log)
    app.cli.add_command(vapid_keys)
    app.cli.add_command(secret)
    app.cli.add_command(person)
    app.cli.add_command(doctor)
    app.cli.add_command(backup)
    app.cli.add_command(restore)
    for command in (drill, resend):
        push.add_command(command)
    app.cli.add_command(push)
    app.cli.add_command(import_file)
    app.cli.add_command(demo)
