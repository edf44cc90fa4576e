"""A program that uses the API with a key, as a script of the owner does."""

from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from feedback_push.auth import accounts, api_keys
from feedback_push.auth.api_keys import Scope
from feedback_push.database import db
from tests.conftest import make_user
from tests.visits import Visitor

EMAIL = "staff@example.org"


class Program:
    """A program with a key; it sends JSON and keeps no cookies."""

    def __init__(self, app: Flask, *scopes: Scope, key: str = "") -> None:
        self.user = accounts.find(EMAIL) or make_user(EMAIL)
        self.key = key or api_keys.make(self.user, "Tickets", scopes or [*Scope])
        db.session.commit()
        self._client = Visitor(app, app.response_class, use_cookies=False)

    def call(self, method: str, address: str, json: Any = None, **headers: str) -> TestResponse:
        """Send a request to the API; headers are written with `_` for `-`."""
        body = {} if json is None else {"json": json}
        return self.send(method, address, {name.replace("_", "-"): value for name, value in headers.items()}, **body)

    def send(self, method: str, address: str, headers: dict[str, str] | None = None, **body: Any) -> TestResponse:
        """Send a request with any body."""
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        return self._client.open(f"/api/v1{address}", method=method, headers=sent, **body)

    def read(self, address: str) -> Any:
        """Return the JSON at an address, which has to be there."""
        answer = self.call("GET", address)
        assert answer.status_code == 200, answer.text
        return answer.get_json()


def problem(answer: TestResponse, status: int) -> list[str]:
    """Return the places and fields of an error, which has to be problem details with this status."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text
    body = answer.get_json()
    assert {"type", "title", "status", "detail"} <= body.keys()
    assert body["status"] == status
    return [f"{each['place']} {each['field']}".strip() for each in body.get("errors", [])]
