"""Pass a listening socket on to a program, as systemd does for a service with a socket unit."""

import socket
import sys

# It is file 3, and the variables are for this process alone.
_PASS_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="unit.socket")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def command(listener: socket.socket, *words: str) -> list[str]:
    """Return the command that runs Python with these words; the process that runs it must inherit the socket."""
    return [sys.executable, "-c", _PASS_ON, str(listener.fileno()), *words]
