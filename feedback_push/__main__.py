"""The command `feedback-push`, in a checkout `python -m feedback_push`: the site's programs and all other commands."""

import os
import sys

import click
from flask.cli import FlaskGroup, routes_command, shell_command

from feedback_push import __version__, create_app
from feedback_push.installation import INSTALLED

PROGRAMS = {
    "run": ("feedback_push.standalone", "Run the web server, a worker and the embedded broker in one terminal."),
    "web": ("feedback_push.web_server", "Run the web server at HOST and PORT."),
    "worker": ("feedback_push.worker", "Run a Celery worker, with the options of `celery worker`."),
}


def main() -> None:
    """Run the command that the arguments name."""
    group = FlaskGroup(
        name="feedback-push",
        help="Run Feedback Push, and manage its accounts, keys, data and database.",
        create_app=create_app,
        add_default_commands=False,
        add_version_option=False,
        load_dotenv=False,  # config.py reads `.env`, from this folder alone
    )
    group.params = []  # Flask's own: --app and --env-file
    click.version_option(__version__)(group)
    for command in (routes_command, shell_command, *map(_program, PROGRAMS)):
        group.add_command(command)
    group.main(prog_name="feedback-push")


def _program(name: str) -> click.Command:
    module, text = PROGRAMS[name]
    own_help = name == "run"  # the others have options, and a help page of their own

    def replace_process(options: tuple[str, ...] = ()) -> None:
        # A new program has neither this one's memory nor its FLASK_RUN_FROM_CLI, which loads the migrations.
        environment = {key: value for key, value in os.environ.items() if key != "FLASK_RUN_FROM_CLI"}
        if INSTALLED:
            environment["PYTHONSAFEPATH"] = "1"  # a file in the site's folder must not replace a module
        os.execve(sys.executable, [sys.executable, "-m", module, *options], environment)  # noqa: S606 - no shell

    return click.Command(
        name,
        help=text,
        callback=replace_process,
        params=[] if own_help else [click.Argument(["options"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": not own_help},
        add_help_option=own_help,
    )


if __name__ == "__main__":
    main()
