"""problems.py and errors.py: below /api/ every error is in problem details and reveals nothing."""

from typing import Any

import pytest
from flask import Flask, abort

from tests import servers
from tests.api.program import problem
from tests.visits import Visit, Visitor

INSIDE = "the colour of the vault"


@pytest.fixture
def broken(app: Flask) -> Visitor:
    """A visitor of a site whose API has some broken addresses."""

    def raising() -> str:
        raise RuntimeError(INSIDE)

    def refusing(code: int) -> str:
        abort(code, INSIDE)

    app.add_url_rule("/api/raising", "raising", raising)
    app.add_url_rule("/api/refusing/<int:code>", "refusing", refusing)
    return Visitor(app)


def test_every_error_has_the_same_form(broken: Visitor) -> None:
    for code in (400, 403, 404, 410, 413, 418, 429, 500, 502, 503):
        answer = broken.get(f"/api/refusing/{code}")
        assert problem(answer, code) == []
        assert INSIDE not in answer.text
    assert problem(broken.get("/api/raising"), 500) == []
    assert INSIDE not in broken.get("/api/raising").text
    long = "x" * 9000
    requests: list[tuple[str, dict[str, Any], int]] = [
        ("/api", {}, 404),
        ("/api/", {}, 404),
        ("/api/v2/messages", {}, 404),
        (f"/api/v1/{long}", {}, 414),
        (f"/api/v1/messages?q={long}", {}, 414),
        ("/api/v1/messages", {"X-Long": long}, 431),
        ("/api/v1/messages", {"Host": "elsewhere.example.org"}, 400),
    ]
    for address, headers, status in requests:
        assert problem(broken.get(address, headers=headers), status) == [], address[:40]
    assert broken.get("/apiary").mimetype == "text/html"
    assert problem(broken.delete("/api/v1/messages"), 405) == []


def test_without_its_database_the_api_says_so(visit: Visit) -> None:
    visitor = visit(database_url=f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/none")
    key = {"Authorization": "Bearer fp_" + "x" * 43, "Origin": "https://shop.example.org"}
    for address in ("/api/v1/messages", "/api/v1/forms/shop"):
        answer = visitor.get(address, headers=key)
        assert problem(answer, 503) == []
        assert "Set-Cookie" not in answer.headers
