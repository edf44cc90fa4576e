"""Send one text with Apprise: a program that reads JSON from its input, and writes `error` and `detail` as JSON.

It runs apart from the site, without its settings, and imports nothing of it. Apprise has over a hundred plugins, some
of which read files, start programs or connect to whatever their address says. Once Apprise is loaded, an audit hook
refuses to open files outside of Python's own folders, to write any, to start programs, and to connect to private
addresses.
"""

import importlib.util
import io
import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

_LONGEST_DETAIL = 2000
_LOCAL = (
    *("syslog.openlog", "syslog.syslog", "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty"),
    *("os.posix_spawn", "os.spawn"),
)
_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_READABLE = ("/etc/ssl/", "/etc/mime.types", "/etc/hosts", "/etc/resolv.conf", "/usr/share/", "/usr/lib/", "/dev/null")


class NotPublic(PermissionError):
    """The address is private."""


def main() -> None:
    """Read the text, send it, and write the result."""
    given = json.load(sys.stdin.buffer)
    output, sys.stdout = sys.stdout, sys.stderr  # a plugin may print
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    error, guard = _send(given)
    if error == "apprise-refused" and guard.refused_address:
        error = "not-public"
    output.write(json.dumps({"error": error, "detail": log.getvalue()[:_LONGEST_DETAIL]}))


def _send(given: dict[str, Any]) -> tuple[str, "_Guard"]:
    guard = _Guard(_load(given["endpoints"]), given["private_hosts"], private_allowed=given["private_allowed"])
    from apprise import Apprise, AppriseAsset, NotifyFormat, PersistentStoreMode  # noqa: PLC0415 - only this program

    asset = AppriseAsset(
        storage_mode=PersistentStoreMode.MEMORY,
        allow_templates=False,  # which are files
        secure_logging=True,
        service_timeout=given["timeout"],
        language="en",
    )
    service = Apprise(asset=asset)
    sys.addaudithook(guard.check)
    if not service.add(given["url"]):
        return "apprise-url", guard
    sent = service.notify(
        title=given["title"], body=given["body"], body_format=NotifyFormat.TEXT, interpret_escapes=False
    )
    return "" if sent else "apprise-refused", guard


class _Guard:
    """Refuse what sending a text does not need."""

    def __init__(self, endpoints: Any, private_hosts: list[str], *, private_allowed: bool) -> None:
        self._endpoints, self._hosts = endpoints, tuple(private_hosts)
        self._private_allowed = private_allowed
        self._allowed: set[str] = set()
        self._folders = tuple(
            f"{Path(folder).resolve()}/" for folder in (sys.prefix, sys.base_prefix, os.__file__[:-5])
        )
        self._resolving = False
        self.refused_address = False

    def check(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise PermissionError for an event that is refused."""
        if event in _CONNECTS:
            self._check_address(arguments[-1])
        elif event == "socket.getaddrinfo":
            self._note_name(arguments[0])
        elif event == "open":
            self._check_file(arguments[0], arguments[2])
        elif event in _LOCAL:
            raise PermissionError("nothing on this machine")

    def _check_address(self, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host in self._allowed or (host is not None and self._private_allowed):
            return
        try:
            is_public = isinstance(host, str) and self._endpoints.is_public(host)
        except ValueError:
            is_public = False  # a name, which could resolve to anything
        if not is_public:
            self.refused_address = True
            raise NotPublic("not a public address")

    def _note_name(self, host: Any) -> None:
        """Allow the addresses of a host that may be private."""
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        if self._resolving or not self._endpoints.host_allowed(self._hosts, f"//{name}"):
            return
        self._resolving = True
        try:
            self._allowed |= {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
        except OSError:
            pass  # the caller finds out as well
        finally:
            self._resolving = False

    def _check_file(self, path: Any, flags: int) -> None:
        if isinstance(path, int):
            return
        name = os.path.realpath(os.fsdecode(path))
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if name != "/dev/null" and (writes or not name.startswith((*self._folders, *_READABLE))):
            raise PermissionError("no other files")


def _load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("endpoints", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018, S101 - a file of ours
    module = importlib.util.module_from_spec(spec)
    sys.modules["endpoints"] = module  # its dataclass looks there
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
