"""The socket to listen on: the one that systemd passes on, and nothing else that may be file 3."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from feedback_push.config import Settings
from tests import servers, service_manager
from tests.environment import environment_of
from tests.program import Program
from tests.web_server.client import Client

PASSED_ON = """
import os, socket
from feedback_push.web_server import listening

kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]  # so that nothing of ours is file 3
listener = socket.create_server(("127.0.0.1", 0))
file, stream = open(os.devnull), socket.socket()
ours, another = os.getpid(), os.getppid()
for name, passed, count, pid in (
    ("one", listener, "1", ours), ("none", listener, "0", ours), ("two", listener, "2", ours),
    ("another's", listener, "1", another), ("a file", file, "1", ours), ("no server", stream, "1", ours),
):
    os.dup2(passed.fileno(), 3)
    os.environ.update(LISTEN_FDS=count, LISTEN_PID=str(pid), LISTEN_FDNAMES="unit.socket")
    try:
        found = listening.passed_on()
    except OSError as error:
        found = "refused"
    is_it = isinstance(found, socket.socket) and found.getsockname() == listener.getsockname()
    if is_it:
        found = f"it, inheritable: {os.get_inheritable(found.detach())}"
    print(name, found, [key for key in os.environ if "LISTEN" in key], sep=": ")
"""


def test_a_socket_of_systemd_is_taken_and_hidden_from_child_processes_and_nothing_else_is() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PASSED_ON], capture_output=True, text=True, cwd=servers.CHECKOUT, check=True
    )
    assert ran.stdout.splitlines() == [
        "one: it, inheritable: False: []",
        "none: None: []",
        "two: refused: []",
        "another's: None: []",
        "a file: refused: []",
        "no server: refused: []",
    ]


@pytest.mark.server
def test_a_client_who_comes_before_the_server_is_answered_by_it(settings: Settings, tmp_path: Path) -> None:
    other = {**environment_of(settings), "PORT": str(servers.free_port())}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        from_systemd = service_manager.command(listener, "-m", "feedback_push", "web")
        from_another = [sys.executable, "-m", "feedback_push", "web", "--fd", str(listener.fileno())]
        for command in (from_systemd, from_another):
            with Client(listener.getsockname()[1]) as early:
                early.send("GET /healthz HTTP/1.1", host="127.0.0.1:8000")
                with Program(command, tmp_path / "web.log", other, files=(listener.fileno(),)) as web:
                    assert early.answer().status == 200, web.log
