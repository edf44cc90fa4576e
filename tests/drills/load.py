"""Keep a site busy: visitors read and write over kept and over new connections, and note the answer to each request."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Self
from urllib.parse import urlencode, urlsplit

import requests

from tests.visits import Page

_PATIENCE = 25.0  # seconds until a visitor gives up
_PAUSE = 0.06  # seconds between two requests of a visitor, so that they leave the site some of the machine
_PARTS = 0.7  # seconds between the two parts of a slow request


class Visitor(threading.Thread):
    """Somebody who sends one request after the other until told to stop.

    A kept connection that the server has closed between two requests is opened again, as every client does. A
    connection that breaks after a request was sent is a loss: its outcome is the error.
    """

    def __init__(self, url: str, name: str, over: threading.Event, *, keeps_connection: bool) -> None:
        super().__init__(name=name, daemon=True)
        self.url, self.form = url, f"{url}/feedback/"
        self.over, self.keeps_connection = over, keeps_connection
        self.outcomes: Counter[int | str] = Counter()
        self.contents: list[str] = []  # of the posts

    def run(self) -> None:
        """Send requests until it is over."""
        with requests.Session() as http:
            http.trust_env = False
            http.headers["Referer"] = self.form
            if not self.keeps_connection:
                http.headers["Connection"] = "close"
            self.begin(http)
            while not self.over.wait(_PAUSE):
                try:
                    outcome: int | str = self.ask(http)
                except (requests.RequestException, OSError) as error:
                    outcome = repr(error)
                self.outcomes[outcome] += 1

    def begin(self, http: requests.Session) -> None:
        """Prepare the first request."""

    def ask(self, http: requests.Session) -> int:
        """Send a request, and return the status of its whole answer."""
        return http.get(self.form, timeout=_PATIENCE).status_code


class Writer(Visitor):
    """A visitor who posts the form, each time with another content."""

    def begin(self, http: requests.Session) -> None:
        """Open the form."""
        self.fields = {**Page(http.get(self.form, timeout=_PATIENCE)).fields, "submitter_name": "Ada"}
        self.cookies = "; ".join(f"{name}={value}" for name, value in http.cookies.items())

    def ask(self, http: requests.Session) -> int:
        """Post the form."""
        return http.post(self.form, self._filled_in(), allow_redirects=False, timeout=_PATIENCE).status_code

    def _filled_in(self) -> dict[str, str]:
        self.contents.append(f"{self.name}-{len(self.contents)}")
        return {**self.fields, "content": self.contents[-1]}


class SlowWriter(Writer):
    """A writer with a slow line: the second half of each request comes later than the first."""

    def ask(self, _http: requests.Session) -> int:
        """Post the form in two parts."""
        address = urlsplit(self.url)
        body = urlencode(self._filled_in()).encode()
        head = (
            f"POST {address.path}/feedback/ HTTP/1.1\r\nHost: {address.netloc}\r\nReferer: {self.form}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
            f"Cookie: {self.cookies}\r\n\r\n"
        )
        with socket.create_connection((address.hostname, address.port), _PATIENCE) as line:
            line.sendall(head.encode() + body[: len(body) // 2])
            time.sleep(_PARTS)
            line.sendall(body[len(body) // 2 :])
            answer = HTTPResponse(line)
            answer.begin()
            answer.read()
            return answer.status


class Load:
    """The visitors of a site."""

    def __init__(self, url: str) -> None:
        self._over = threading.Event()
        kinds = {"reader": Visitor, "writer": Writer}
        self._visitors = [
            kind(url, f"{name}-{how}-{number}", self._over, keeps_connection=how == "kept")
            for name, kind in kinds.items()
            for how in ("kept", "new")
            for number in range(2)
        ]
        self._visitors += [SlowWriter(url, f"slow-{number}", self._over, keeps_connection=False) for number in range(2)]

    def __enter__(self) -> Self:
        for visitor in self._visitors:
            visitor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every visitor wait for their last answer, and go."""
        self._over.set()
        for visitor in self._visitors:
            visitor.join(_PATIENCE + 1)
        assert not any(visitor.is_alive() for visitor in self._visitors)

    @property
    def outcomes(self) -> dict[str, Counter[int | str]]:
        """The outcomes by the visitors' names."""
        return {visitor.name: Counter(visitor.outcomes) for visitor in self._visitors}

    @property
    def answered(self) -> int:
        """The number of requests that have had an answer."""
        return sum(sum(visitor.outcomes.values()) for visitor in self._visitors)

    @property
    def contents(self) -> set[str]:
        """The contents of all posts."""
        return {content for visitor in self._visitors for content in visitor.contents}

    @property
    def losses(self) -> dict[str, Counter[int | str]]:
        """The outcomes other than the right answer: 200 for readers, 303 for writers."""
        lost = {
            visitor.name: Counter({outcome: count for outcome, count in visitor.outcomes.items() if outcome != right})
            for visitor in self._visitors
            for right in [303 if isinstance(visitor, Writer) else 200]
        }
        return {name: outcomes for name, outcomes in lost.items() if outcomes}


@contextmanager
def busy(url: str) -> Iterator[Load]:
    """Keep a site busy during the block."""
    with Load(url) as load:
        yield load
