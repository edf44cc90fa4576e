"""Find the socket to listen on: one that the service manager passes on, or a new one at an address of ours.

A socket that is passed on outlives this process. Clients who connect while nobody accepts them wait for the next one.
"""

import os
import socket

_FIRST = 3  # the number of the first file that is passed on


def passed_on() -> socket.socket | None:
    """Return the listening socket that systemd has passed on, as sd_listen_fds(3) says; None if there is none.

    Raise OSError if it is not one TCP socket. Child processes are not told of it.
    """
    is_ours = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not is_ours or count in ("", "0"):
        return None
    if count != "1":
        raise OSError(0, "one socket is expected from the service manager")
    os.set_inheritable(_FIRST, False)
    return inherited(_FIRST)


def inherited(number: int) -> socket.socket:
    """Return the listening socket that this process has inherited as a file. Raise OSError if it is none."""
    found = socket.socket(fileno=number)
    is_tcp = found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM
    if not is_tcp or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(0, "the inherited file is not a listening TCP socket")
    return found


def at(host: str, port: int) -> socket.socket:
    """Return a new socket that listens at this address. Raise OSError if it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
