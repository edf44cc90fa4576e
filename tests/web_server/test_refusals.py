"""Refused requests: the connection stays usable, or closes in order as announced."""

import socket
import time
from collections.abc import Callable

import pytest
import requests

from feedback_push.web_server import server as server_module
from feedback_push.web_server.server import Server
from tests.web_server.client import FORM, Answer, Client

Connect = Callable[[], Client]
MEGABYTE = 1024 * 1024


def test_a_refused_body_that_was_read_leaves_the_connection_as_it_was(connect: Connect) -> None:
    client = connect()
    for address in ("/push/subscribe", "/login", "/logout", "/nowhere"):
        refused = client.ask(f"POST {address} HTTP/1.1", "Content-Length: 70000", FORM, body=b"x" * 70_000)
        assert (refused.status, refused.closes) == (413, False), address
        assert client.is_alive(), address
    chunks = b"11170\r\n" + b"x" * 70_000 + b"\r\n0\r\n\r\n"
    assert client.ask("POST /login HTTP/1.1", "Transfer-Encoding: chunked", FORM, body=chunks).status == 413
    assert client.is_alive()


def test_a_client_that_keeps_its_connections_notices_nothing_of_a_refusal(server: Server) -> None:
    url = f"http://127.0.0.1:{server.effective_port}"
    with requests.Session() as session:
        for size in (70_000, 3 * MEGABYTE, 4 * MEGABYTE, 10 * MEGABYTE):
            refused = session.post(f"{url}/feedback/", data={"content": "x" * size}, timeout=20)
            assert refused.status_code == (400 if size == 70_000 else 413)
            assert session.get(f"{url}/healthz", timeout=20).ok


@pytest.mark.parametrize(
    ("head", "body", "closes"),
    [
        ("Content-Length: 4194304", b"x" * 4 * MEGABYTE, False),
        ("Transfer-Encoding: chunked", b"400000\r\n" + b"x" * 4 * MEGABYTE + b"\r\n0\r\n\r\n", False),
        ("Content-Length: 10485760", b"x" * 10 * MEGABYTE, True),
        ("Transfer-Encoding: chunked", b"A00000\r\n" + b"x" * 10 * MEGABYTE + b"\r\n0\r\n\r\n", True),
        ("Content-Length: 99999999999999", b"x" * 10 * MEGABYTE, True),
    ],
    ids=["length", "chunked", "long", "long chunked", "no end"],
)
def test_a_body_that_is_too_large_gets_the_page_that_says_so(
    connect: Connect, head: str, body: bytes, closes: bool
) -> None:
    client = connect()
    client.send("POST /feedback/ HTTP/1.1", head, FORM)
    sent = 0
    while sent < len(body):  # like a browser, which reads nothing until it has sent everything
        sent += client.socket.send(body[sent:])
        time.sleep(0.001)
    answer = client.answer()
    assert (answer.status, answer.closes) == (413, closes)
    assert "Go back: your text is still there." in answer.text
    if closes:
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()
    else:
        assert client.is_alive()


def test_a_client_that_expects_100_is_refused_before_it_sends(connect: Connect) -> None:
    client = connect()
    client.send("POST /feedback/ HTTP/1.1", "Expect: 100-continue", "Content-Length: 4194304", FORM)
    assert client.answer().status == 413
    client = connect()
    client.send("POST /login HTTP/1.1", "Expect: 100-continue", "Content-Length: 5", FORM)
    assert client.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.socket.sendall(b"email")
    assert client.answer().status == 400  # without a token
    assert client.ask("GET /healthz HTTP/1.1", "Expect: 100-continue").status == 200
    assert client.is_alive()


MALFORMED = {
    "no request line": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "no number": b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: five\r\n\r\n",
    "negative": b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nemail=",
    "thousands of digits": b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another encoding": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "no chunk": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bare line feed": b"GET / HTTP/1.1\r\nHost: h\r\nA: secret\nB: c\r\n\r\n",
    "malformed address": b"GET http://[ HTTP/1.1\r\nHost: h\r\n\r\n",
    "large head": b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"secret" * 10_000 + b"\r\n\r\n",
}


def test_a_malformed_request_gets_one_line_that_repeats_nothing_and_the_end(connect: Connect) -> None:
    for name, sent in MALFORMED.items():
        client = connect()
        client.socket.sendall(sent + b"more" * 10_000)  # which the server does not read as a request
        answer = client.answer()
        assert answer.status in (400, 431, 501), name
        assert answer.closes, name
        assert (len(answer.text) < 100, "secret" in answer.text) == (True, False), name
        assert answer.headers.get("server") is None
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed(), name


def test_odd_requests_that_are_whole_get_an_answer(connect: Connect) -> None:
    client = connect()
    assert client.ask("POST /login HTTP/1.1", FORM).status == 400  # no length is no body
    assert client.ask("GET /healthz HTTP/1.1", "Host: evil.example").status == 400  # two hosts
    assert client.ask("GET /healthz HTTP/1.1", host="evil.example").status == 400
    assert client.ask("GET /healthz HTTP/1.1", "Content-Length: 5", body=b"hello").status == 200
    client.socket.sendall(b"\r\n\r\n")  # blank lines between requests, as old browsers sent them
    assert client.is_alive()
    assert client.ask("GET /healthz HTTP/1.0").closes
    kept = connect()
    assert kept.ask("GET /healthz HTTP/1.0", "Connection: keep-alive").headers["connection"] == "Keep-Alive"
    assert kept.is_alive()


def test_requests_that_come_at_once_are_answered_one_after_the_other(connect: Connect) -> None:
    client = connect()
    one = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n\r\n".encode()
    client.socket.sendall(one * 50 + b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" + one)
    answers = client.socket.makefile("rb").read()  # nothing comes after the one that asks to close
    assert (answers.count(b"HTTP/1.1 200 OK"), answers.count(b"HTTP/1.1 404")) == (50, 1)


def test_no_header_sets_the_path_or_the_scheme(connect: Connect) -> None:
    names = ("SCRIPT_NAME", "Script-Name", "HTTP_SCRIPT_NAME", "X-Forwarded-Prefix", "X-Forwarded-Proto", "REMOTE_ADDR")
    for name in names:
        answer = connect().ask("GET / HTTP/1.1", f"{name}: /evil")
        assert (answer.status, answer.headers["location"]) == (302, "/feedback/"), name


def test_large_bodies_have_a_bound_together_and_small_ones_still_arrive(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_LARGE_BODIES", 5 * MEGABYTE)
    port = int(serve().effective_port)

    def post(client: Client, size: int) -> None:
        client.send("POST /feedback/ HTTP/1.1", f"Content-Length: {2 * MEGABYTE}", FORM, body=b"x" * size)

    with Client(port) as first, Client(port) as second, Client(port) as third, Client(port) as small:
        for held in (first, second):
            post(held, 2 * MEGABYTE - 1)
        time.sleep(0.5)
        post(third, 2 * MEGABYTE)
        refused: Answer = third.answer()
        assert (refused.status, refused.headers["retry-after"], refused.closes) == (503, "5", False)
        assert third.is_alive()
        assert small.ask("POST /feedback/ HTTP/1.1", "Content-Length: 60000", FORM, body=b"x" * 60_000).status == 400
        for held in (first, second):
            held.socket.sendall(b"x")
            assert held.answer().status == 413  # more text than the form takes
    time.sleep(1.5)  # the sum is taken anew every second
    with Client(port) as later:
        post(later, 2 * MEGABYTE)
        assert later.answer().status == 413
