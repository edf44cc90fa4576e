"""A minimal browser for measuring: cookies, a kept-alive connection and the CSRF token."""

import json
import re
from http.client import HTTPConnection
from urllib.parse import urlencode

from benchmarks.site import EMAIL, PASSWORD
from feedback_push.config import Settings

_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_MESSAGE = {"content": "It is lovely.", "submitter_name": "Ada Lovelace", "submitter_email": "ada@example.org"}


class Browser:
    """A browser that visits one site."""

    def __init__(self, settings: Settings) -> None:
        self._connection = HTTPConnection(settings.host, settings.port, timeout=60)
        self._admin_url = settings.admin_url
        self._cookies: dict[str, str] = {}
        self._token = ""

    def open_form(self) -> None:
        """Load the feedback form; its CSRF token is valid for any number of messages."""
        self._token = self._token_of("/feedback/")

    def send_message(self) -> None:
        """Submit the feedback form."""
        self._request("POST", "/feedback/", 303, _MESSAGE | {"csrf_token": self._token})

    def send_json(self) -> None:
        """Send the same message through the API, as a page of another site does."""
        body = {"content": _MESSAGE["content"], "name": "Ada Lovelace", "email": "ada@example.org"}
        headers = {"Content-Type": "application/json"}
        self._exchange("POST", "/api/v1/forms/default/messages", 201, json.dumps(body), headers)

    def sign_in(self) -> None:
        """Sign in as the administrator."""
        token = self._token_of("/login")
        self._request("POST", "/login", 303, {"email": EMAIL, "password": PASSWORD, "csrf_token": token})

    def open_inbox(self) -> str:
        """Return the dashboard's first page."""
        return self._request("GET", self._admin_url, 200)

    def reconnect(self) -> None:
        """Close the connection, so that the next request opens one that the server has not timed out."""
        self._connection.close()

    def _token_of(self, path: str) -> str:
        found = _TOKEN.search(self._request("GET", path, 200))
        assert found, f"no token on {path}"
        return found[1]

    def _request(self, method: str, path: str, expected: int, fields: dict[str, str] | None = None) -> str:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if fields:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self._exchange(method, path, expected, urlencode(fields) if fields else None, headers)

    def _exchange(self, method: str, path: str, expected: int, body: str | None, headers: dict[str, str]) -> str:
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status != expected:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}")
        return text
