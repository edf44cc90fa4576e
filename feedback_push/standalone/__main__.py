"""Run the whole application until Ctrl-C; `make run` executes `python -m feedback_push.standalone`."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from feedback_push import config
from feedback_push.config import Settings
from feedback_push.standalone import StartError, broker, processes, terminal
from feedback_push.standalone.instance import only_launcher, private_folder
from feedback_push.standalone.processes import Child


def main() -> int:
    """Prepare and serve; return the exit code: 0 after a stop signal, 2 for invalid settings, 1 for other failures."""
    os.umask(0o077)
    terminal.listen()
    env = config.source()
    folder = config.instance_dir(env)
    try:
        private_folder(folder)
        # The port comes first: create an account, whose password is shown only once, only if the site can start.
        with only_launcher(folder), _listener(*config.listens_at(env)) as listener:
            # In its own process, so that the launcher does not keep the application in memory.
            exit_code = processes.run(_python("feedback_push.standalone.first_run"))
            if exit_code == 0 and listener:
                _serve(config.load(), listener)
    except StartError as error:
        terminal.say(error, error=True)
        return 1
    if not terminal.asked_to_stop():
        return exit_code
    terminal.say("Stopped.")
    return 0


def _serve(settings: Settings, listener: socket.socket) -> None:
    with broker.running(settings) as brokers:
        web, worker = _web(listener.fileno()), _worker()
        with processes.running(web, worker):
            if processes.wait_for(lambda: _answers(settings), 30, web):
                terminal.say(_welcome(settings))
            elif not terminal.asked_to_stop():
                raise StartError("The web server does not respond. Its messages above may say why.")
            processes.watch([*brokers, web, worker])


@contextmanager
def _listener(host: str, port: int | None) -> Iterator[socket.socket | None]:
    """Listen on the given host and port; yield None if PORT is invalid, which the settings' own message reports."""
    # Here rather than in the web server: a port in use is found at once, and no visitor is refused during a restart.
    if port is None:
        yield None
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        raise StartError(
            f"Cannot listen on {host}, port {port}: {reason}. To use another port, run: PORT={port + 1} make run"
        ) from None
    with listener:
        yield listener


def _web(listener: int) -> Child:
    return Child("The web server", [*_python("feedback_push.web_server"), "--fd", str(listener)], listener)


def _worker() -> Child:
    options = [
        *("--pool", "threads", "--concurrency", "4", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),  # there is no other worker
    ]
    # Celery warns root at length about pickled tasks, but ours are JSON.
    celery = _python("celery", "-W", "ignore:You're running the worker")
    return Child("The worker", [*celery, "--quiet", "--app", "celery_worker", "worker", *options])


def _python(module: str, *options: str) -> list[str]:
    return [sys.executable, *options, "-m", module]


def _answers(settings: Settings) -> bool:
    connection = HTTPConnection(settings.host, settings.port, timeout=1)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(settings.site_url).netloc})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _welcome(settings: Settings) -> str:
    return (
        "Feedback Push is running.\n"
        f"  Feedback form  {settings.site_url}/feedback/\n"
        f"  Dashboard      {settings.site_url}{settings.admin_url}\n"
        "Press Ctrl-C to stop."
    )


if __name__ == "__main__":
    sys.exit(main())
