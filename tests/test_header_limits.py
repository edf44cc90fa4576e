"""header_limits.py: bound the head of a request."""

from typing import Any

import pytest
from flask import Flask, request

from feedback_push.header_limits import LONGEST_COOKIES, LONGEST_LINE, LONGEST_PATH, LONGEST_QUERY
from tests.visits import Visit, Visitor


@pytest.mark.parametrize(
    ("address", "headers", "code"),
    [
        (f"/{'x' * LONGEST_PATH}", {}, 414),
        (f"/admin/messages/{'9' * LONGEST_PATH}", {}, 414),
        (f"/healthz?{'x' * (LONGEST_QUERY + 1)}", {}, 414),
        ("/healthz", {"Referer": "x" * (LONGEST_LINE + 1)}, 431),
        ("/healthz", {"Content-Type": "x" * (LONGEST_LINE + 1)}, 431),
        ("/healthz", {"Cookie": "x" * (LONGEST_COOKIES + 1)}, 431),
        ("/healthz", {"Cookie": "x" * LONGEST_COOKIES, "Referer": "x" * LONGEST_LINE}, 200),
        (f"/healthz?{'x' * LONGEST_QUERY}", {}, 200),
        (f"/{'x' * (LONGEST_PATH - 1)}", {}, 404),
    ],
    ids=range(9),
)
def test_a_request_with_too_long_a_head_is_refused_with_a_reason(
    app: Flask, address: str, headers: dict[str, str], code: int
) -> None:
    answer = Visitor(app, app.response_class, use_cookies=False).get(address, headers=headers)
    assert answer.status_code == code
    assert len(answer.data) < 10_000
    assert code < 400 or "<h1>" in answer.text


def test_nobody_is_refused_for_a_long_description_of_their_browser_or_their_way(visit: Visit) -> None:
    visitor = visit(trusted_proxies=1)
    seen: dict[str, Any] = {}

    def look() -> None:
        seen.update(
            agent=request.user_agent.string, languages=len(request.accept_languages), address=request.remote_addr
        )

    visitor.application.before_request(look)
    headers = {
        "User-Agent": "Firefox " + "x" * 50_000,
        "Accept-Language": "de," * 20_000,
        "X-Forwarded-For": "1.2.3.4," * 20_000 + "192.0.2.7",
    }
    assert visitor.get("/feedback/", headers=headers).status_code == 200
    assert (len(seen["agent"]), seen["agent"][:8]) == (512, "Firefox ")
    assert seen["languages"] < 200
    assert seen["address"] == "192.0.2.7"
