"""Serve the site on a socket of the service manager, or at HOST and PORT, for `python -m feedback_push.web_server`."""

import argparse
import errno
import logging
import signal
import socket
import sys
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from feedback_push import config, create_app
from feedback_push.alarms import watchdog
from feedback_push.auth import passkeys
from feedback_push.config import Settings
from feedback_push.database import DATABASE_ERRORS
from feedback_push.web_server import listening
from feedback_push.web_server.server import Server

if TYPE_CHECKING:
    from flask import Flask


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; return exit code 1 if it cannot listen, for example because the port is in use."""
    options = parser().parse_args()
    settings = config.load()
    try:
        listener = _listener(options.fd, settings)
    except OSError as error:
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        print(f"Cannot listen on {settings.host}, port {settings.port}: {reason}.", file=sys.stderr)  # noqa: T201
        return 1
    return serve(create_app(settings), listener)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    made = argparse.ArgumentParser(prog="python -m feedback_push.web_server", description=__doc__)
    made.add_argument("--fd", type=int, help="the number of an inherited listening socket, instead of HOST and PORT")
    return made


def serve(app: "Flask", listener: socket.socket) -> int:
    """Serve the application on a listening socket until SIGTERM or Ctrl-C; return an exit code."""
    watchdog.start(app)
    Thread(target=_look_at_passkeys, args=(app,), daemon=True).start()  # the database may answer late or not at all
    server = Server(app, listener)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns each time all threads are busy
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, server.stop)
    server.run()
    return 0


def _look_at_passkeys(app: "Flask") -> None:
    with app.app_context(), suppress(*DATABASE_ERRORS):
        passkeys.warn_of_other_hosts()


def _listener(number: int | None, settings: Settings) -> socket.socket:
    passed_on = listening.passed_on()  # in any case, because it also hides the socket from child processes
    if number is not None:
        return listening.inherited(number)
    return passed_on or listening.at(settings.host, settings.port)


if __name__ == "__main__":
    sys.exit(main())
