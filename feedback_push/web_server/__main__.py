"""Serve the site at HOST and PORT, or on an inherited socket, for `python -m feedback_push.web_server`."""

import argparse
import errno
import logging
import signal
import socket
import sys

from feedback_push import config, create_app
from feedback_push.config import Settings
from feedback_push.web_server.server import Server


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; return exit code 1 if it cannot listen, for example because the port is in use."""
    parser = argparse.ArgumentParser(prog="python -m feedback_push.web_server", description=__doc__)
    parser.add_argument("--fd", type=int, help="the number of an inherited listening socket, instead of HOST and PORT")
    options = parser.parse_args()
    settings = config.load()
    try:
        listener = socket.socket(fileno=options.fd) if options.fd is not None else _listener(settings)
    except OSError as error:
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        print(f"Cannot listen on {settings.host}, port {settings.port}: {reason}.", file=sys.stderr)  # noqa: T201
        return 1
    server = Server(create_app(settings), listener)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns each time all threads are busy
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, server.stop)
    server.run()
    return 0


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family)


if __name__ == "__main__":
    sys.exit(main())
