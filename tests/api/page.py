"""A page of another site that uses the public part of the API, as a browser lets it."""

from typing import Any

import altcha
from flask import Flask
from werkzeug.test import TestResponse

from tests.visits import Visitor

SHOP = "https://shop.example.org"
SHOP_FORM: dict[str, Any] = {
    "origins": [SHOP],
    "name_field": "optional",
    "rating": "stars",
    "categories": [{"en": "Bug", "de": "Fehler"}, {"en": "Idea", "de": "Idee"}],
    "questions": [{"id": "q1", "labels": {"en": "Which version?"}, "required": True, "long": False}],
    "words": {"de": {"title": "Sag uns was"}},
}
GOOD = {"content": "Hello", "answers": {"q1": "2.0"}}


class OtherPage:
    """A page of the given origin; its browser has the cookies of this site, and sends none with a fetch."""

    def __init__(self, app: Flask, origin: str | None = SHOP) -> None:
        self._browser = Visitor(app)
        self._origin = {} if origin is None else {"Origin": origin}

    def fetch(self, method: str, address: str, headers: dict[str, str] | None = None, **body: Any) -> TestResponse:
        """Send a request below the API's forms."""
        sent = {**self._origin, **(headers or {})}
        return self._browser.open(f"/api/v1/forms/{address}", method=method, headers=sent, **body)

    def post(self, json: Any, form: str = "shop", **headers: str) -> TestResponse:
        """Send a message to a form."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.fetch("POST", f"{form}/messages", more, json=json)

    def proof(self, form: str = "shop") -> str:
        """Solve a new challenge."""
        challenge = altcha.Challenge.from_dict(self.fetch("GET", f"{form}/challenge").get_json())
        solution = altcha.solve_challenge(challenge)
        assert solution
        return str(altcha.Payload(challenge, solution).to_base64())
