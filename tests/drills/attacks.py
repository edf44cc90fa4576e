"""Attacks on a web server: each takes the server's port, sets `begun` once it runs, and stops when `over` is set."""

import http.client
import itertools
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.synchronize import Event
from threading import Thread
from urllib.parse import urlencode

import requests

from tests.visits import Page

_FORM = "application/x-www-form-urlencoded"


def idle_sockets(port: int, begun: Event, over: Event, count: int, source: str = "127.0.0.1") -> None:
    """Open connections and send nothing on them; open them again if the server closes them."""
    sockets = [_connection(port, source) for _ in range(count)]
    begun.set()
    while not over.wait(0.5):
        for index, each in enumerate(sockets):
            if _is_closed(each):
                each.close()
                sockets[index] = _connection(port, source)


def slow_senders(port: int, begun: Event, over: Event, count: int) -> None:
    """Send a request's head at once and then its body, one byte a second."""
    _trickle(port, begun, over, count, _head(port, "/feedback/", 1000), b"x")


def slow_heads(port: int, begun: Event, over: Event, count: int) -> None:
    """Send a request's head, one line a second."""
    _trickle(port, begun, over, count, f"GET /feedback/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode(), b"X-A: b\r\n")


def readers(port: int, begun: Event, over: Event, count: int, requests: int = 1) -> None:
    """Request pages, many at once on each connection, and read no answers."""
    asked = f"GET /static/site.css HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() * requests
    sockets = [_deaf_connection(port) for _ in range(count)]
    for each in sockets:
        with suppress(OSError):
            each.sendall(asked)
    begun.set()
    while not over.wait(0.5):
        for index, each in enumerate(sockets):
            if _is_gone(each):
                each.close()
                sockets[index] = _deaf_connection(port)
                sockets[index].sendall(asked)


def sign_ins(port: int, begun: Event, over: Event, count: int) -> None:
    """Try wrong passwords from many browsers, again and again, each from its own address."""

    def guess(number: int) -> None:
        source = f"127.0.1.{number + 1}"
        cookie, token = _open(port, "/login", source)
        fields = {"csrf_token": token, "email": f"nobody{number}@example.org", "password": "wrong password"}
        while not over.is_set():
            _post(port, "/login", urlencode(fields).encode(), source, Cookie=cookie)

    _in_threads(begun, over, count, guess)


def guessers(port: int, begun: Event, over: Event, count: int, patient: int, email: str) -> None:
    """Guess the password of one account behind a trusted proxy, each try from a network of its own.

    `count` clients never wait; `patient` more do everything that the page says, each from its own network.
    """
    names = itertools.count(1)  # of networks that nobody else has

    def flood(_number: int) -> None:
        cookie, token = _open(port, "/login", "127.0.0.1")
        fields = urlencode({"csrf_token": token, "email": email, "password": "wrong password"}).encode()
        while not over.is_set():
            network = {"X-Forwarded-For": f"2001:db8:{next(names):x}::1"}
            _post(port, "/login", fields, "127.0.0.1", Cookie=cookie, **network)

    def wait(number: int) -> None:
        address = f"http://127.0.0.1:{port}/login"
        with requests.Session() as browser:
            browser.trust_env = False
            browser.headers.update({"X-Forwarded-For": f"198.51.{number}.1", "Referer": address})
            while not over.is_set():
                with suppress(requests.RequestException):
                    fields = Page(browser.get(address, timeout=20)).fields
                    answer = browser.post(address, {**fields, "email": email, "password": "wrong"}, timeout=20)
                    over.wait(float(answer.headers.get("Retry-After", 0)))

    _in_threads(begun, over, count + patient, lambda number: flood(number) if number < count else wait(number))


def requests_in_a_row(port: int, begun: Event, over: Event, count: int) -> None:
    """Request a page a number of times, one request after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    begun.set()
    for _ in range(count):
        if over.is_set():
            break
        connection.request("GET", "/healthz")
        connection.getresponse().read()


def askers(port: int, begun: Event, over: Event, count: int, path: str) -> None:
    """Request the same address from many clients, again and again."""

    def ask(_number: int) -> None:
        while not over.is_set():
            _request(port, "GET", path, None, "127.0.0.1")

    _in_threads(begun, over, count, ask)


def slow_downloads(port: int, begun: Event, over: Event, count: int, path: str, cookie: str) -> None:
    """Request a large file from many clients that do not read it."""
    asked = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n".encode()
    sockets = [_deaf_connection(port) for _ in range(count)]
    for each in sockets:
        each.sendall(asked)
    time.sleep(1)  # until the server's threads are blocked
    begun.set()
    over.wait()


def large_posts(port: int, begun: Event, over: Event, count: int, body: bytes) -> None:
    """Post the same large body without a token, again and again."""

    def post(_number: int) -> None:
        while not over.is_set():
            _post(port, "/feedback/", body, "127.0.0.1")

    _in_threads(begun, over, count, post)


def _in_threads(begun: Event, over: Event, count: int, work: Callable[[int], None]) -> None:
    threads = [Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # until each thread has sent something
    begun.set()
    over.wait()
    for thread in threads:
        thread.join(15)


def _trickle(port: int, begun: Event, over: Event, count: int, first: bytes, next_: bytes) -> None:
    def start() -> socket.socket:
        connection = _connection(port, "127.0.0.1")
        connection.sendall(first)
        return connection

    sockets = [start() for _ in range(count)]
    begun.set()
    while not over.wait(1):
        for index, each in enumerate(sockets):
            try:
                each.sendall(next_)
            except OSError:
                each.close()
                sockets[index] = start()


def _open(port: int, path: str, source: str) -> tuple[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(source, 0))
    connection.request("GET", path)
    answer = connection.getresponse()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer.read().decode())
    assert token
    return (answer.getheader("Set-Cookie") or "").split(";")[0], token[1]


def _post(port: int, path: str, body: bytes, source: str, **headers: str) -> None:
    _request(port, "POST", path, body, source, **headers)


def _request(port: int, method: str, path: str, body: bytes | None, source: str, **headers: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(source, 0))
    sent = {"Content-Type": _FORM, "Referer": f"http://127.0.0.1:{port}{path}", **headers}
    try:
        connection.request(method, path, body, sent)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()


def _head(port: int, path: str, length: int) -> bytes:
    fields = (f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {length}", f"Content-Type: {_FORM}")
    return "\r\n".join([*fields, "", ""]).encode()


def _connection(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))


def _deaf_connection(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", port))
    return connection


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1024) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _is_gone(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
