"""HTTPS over kept-alive connections, many requests at once: libcurl's multi interface, driven by one thread."""

import math
import socket
import time
from contextlib import suppress

import pycurl

from feedback_push.push.interest import InterestList
from feedback_push.push.transfer import Done, Objection, OpenSocket, Transfer

_IDLE_CONNECTIONS = 1000


class Transport:
    """Posts to many hosts, following no redirect and without cookies. All but `wake` is for one thread.

    It connects through the http proxy at this address, if there is one, else by the sockets that `open_socket` makes.
    """

    def __init__(self, open_socket: OpenSocket, proxy: str = "") -> None:
        self._open_socket = open_socket
        self._proxy = proxy
        self._interest = InterestList()
        self._due = math.inf  # when libcurl wants to look at its own timeouts
        self._idle: list[Transfer] = []
        self._under_way: dict[pycurl.Curl, Transfer] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, _IDLE_CONNECTIONS)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._bell, self._rung = socket.socketpair()
        self._bell.setblocking(False)
        self._interest.set(self._rung.fileno(), pycurl.POLL_IN)

    def post(
        self, url: str, headers: tuple[str, ...], body: bytes, done: Done, objection: Objection | None = None
    ) -> None:
        """Post the body with these header lines; `step` will call `done` once, at the latest after TIMEOUT.

        Where it takes a while to connect, `objection` is asked before anything is sent; what it returns stops the post.
        """
        transfer = self._idle.pop() if self._idle else Transfer(self._open_socket, self._proxy)
        transfer.prepare(url, headers, body, done, objection)
        self._under_way[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)

    def step(self, longest: float) -> None:
        """Do what there is to do, waiting for it at most so many seconds; math.inf is without end."""
        wait = min(longest, self._due - time.monotonic())
        for descriptor, events in self._interest.ready(None if wait == math.inf else wait):
            if descriptor == self._rung.fileno():
                self._rung.recv(4096)
            else:
                self._multi.socket_action(descriptor, events)
        if self._due <= time.monotonic():
            self._due = math.inf
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._finish()

    def wake(self) -> None:
        """Let `step` return soon; from any thread."""
        with suppress(OSError):  # then it has been woken often enough, or is closed
            self._bell.send(b"\0")

    def close(self) -> None:
        """Drop all connections; what is under way will never be done."""
        for transfer in self._under_way.values():
            self._multi.remove_handle(transfer.curl)
        self._multi.close()
        self._interest.close()
        self._bell.close()
        self._rung.close()

    def _finish(self) -> None:
        more = 1
        while more:
            more, answered, failed = self._multi.info_read()
            for curl, error in [*((curl, None) for curl in answered), *((curl, code) for curl, code, _ in failed)]:
                self._multi.remove_handle(curl)
                transfer = self._under_way.pop(curl)
                self._idle.append(transfer)
                transfer.done(transfer.outcome(error))

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        self._interest.set(descriptor, 0 if what == pycurl.POLL_REMOVE else what)

    def _set_timer(self, milliseconds: int) -> None:
        self._due = math.inf if milliseconds < 0 else time.monotonic() + milliseconds / 1000
