"""Run the whole application until Ctrl-C; `make run` executes `python -m feedback_push.standalone`."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

from feedback_push import config
from feedback_push.config import Settings
from feedback_push.standalone import StartError, broker, first_run, processes, programs, supervisor, terminal
from feedback_push.standalone.instance import only_launcher, private_folder
from feedback_push.standalone.processes import Child
from feedback_push.web_server import health_check, listening


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
            exit_code = processes.run(Child("The first start", first_run.main, knows_administrator=True))
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
    host, port = listener.getsockname()[:2]  # of the service manager's socket, whatever HOST and PORT say
    here = replace(settings, host=host, port=port)
    with broker.running(settings) as brokers:
        app = programs.load()
        number = listener.fileno()
        listener.set_inheritable(True)
        web = Child(
            "The web server", partial(programs.web, app, listener), programs.command("web", number), passes=[number]
        )
        worker = Child("The worker", partial(programs.worker, app), programs.command("worker"))
        with processes.running(web, worker):
            if processes.wait_for(lambda: health_check.answers(here), 30, web):
                terminal.say(_welcome(settings))
            elif not terminal.asked_to_stop():
                raise StartError("The web server does not respond. Its messages above may say why.")
            supervisor.take_over(brokers, [web, worker])


@contextmanager
def _listener(host: str, port: int | None) -> Iterator[socket.socket | None]:
    """Listen on the service manager's socket, or at HOST and PORT; yield None if PORT is invalid.

    The settings' own message reports that.
    """
    # Here rather than in the web server: a port in use is found at once, and no visitor is refused during a restart.
    listener = _passed_on() or (_listen(host, port) if port is not None else None)
    with listener or nullcontext():
        yield listener


def _passed_on() -> socket.socket | None:
    try:
        return listening.passed_on()
    except OSError as error:
        raise StartError(f"Cannot use the socket of the service manager: {error.strerror}.") from None


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listening.at(host, port)
    except OSError as error:
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else error.strerror
        raise StartError(
            f"Cannot listen on {host}, port {port}: {reason}. To use another port, set PORT, such as PORT={port + 1}."
        ) from None


def _welcome(settings: Settings) -> str:
    return (
        "Feedback Push is running.\n"
        f"  Feedback form  {settings.site_url}/feedback/\n"
        f"  Dashboard      {settings.site_url}{settings.admin_url}\n"
        "Press Ctrl-C to stop."
    )


if __name__ == "__main__":
    sys.exit(main())
