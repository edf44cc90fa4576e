"""concurrency_limit.py: limit the requests that do the same work at a time, and refuse the others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue

from feedback_push import create_app
from feedback_push.admin import export
from feedback_push.auth.models import User
from feedback_push.concurrency_limit import Busy, ConcurrencyLimit
from feedback_push.config import Settings
from feedback_push.feedback import views
from tests.conftest import PASSWORD
from tests.servers import wait_until
from tests.visits import Page, Visitor


def enter(limit: ConcurrencyLimit, caller: str | None = None, *, trusted: bool = False) -> Any:
    try:
        return limit.enter(caller, trusted=trusted)
    except Busy as busy:
        return busy


def test_a_request_without_a_place_is_refused_at_once_and_a_place_is_given_back_once() -> None:
    limit = ConcurrencyLimit(1, pause=7)
    leave = limit.enter()
    refused = enter(limit)
    assert isinstance(refused, Busy)
    assert refused.retry_after == 7
    leave()
    leave()
    limit.enter()
    assert isinstance(enter(limit), Busy)


def test_a_waiting_request_gets_a_free_place_or_is_refused_after_its_patience() -> None:
    limit = ConcurrencyLimit(1, waiting=1, patience=5)
    leave = limit.enter()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(enter, limit)
        while not isinstance(enter(limit), Busy):  # it waits in the last free place
            pass
        leave()
        waiting.result(5)()
    impatient = ConcurrencyLimit(1, waiting=1, patience=0.01)
    leave = impatient.enter()
    assert isinstance(enter(impatient), Busy)
    leave()
    impatient.enter()()


def test_one_caller_has_a_share_and_a_trusted_one_a_place_of_its_own() -> None:
    limit = ConcurrencyLimit(3, for_each=2)
    limit.enter("a")
    limit.enter("a")
    assert isinstance(enter(limit, "a"), Busy)
    limit.enter("b")
    assert isinstance(enter(limit, "c"), Busy)
    limit._most_running = 4  # noqa: SLF001 - so that it need not wait for its turn
    limit.enter("a", trusted=True)
    assert isinstance(enter(limit, "c", trusted=True), Busy)


def test_a_trusted_caller_is_next_in_turn() -> None:
    limit = ConcurrencyLimit(1, waiting=1, patience=10)
    leave = limit.enter()
    turns: list[str] = []

    def wait(name: str, *, trusted: bool) -> None:
        leave = limit.enter(name, trusted=trusted)
        turns.append(name)
        leave()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(wait, "stranger", trusted=False)
        wait_until(lambda: limit._callers.total() == 2)  # noqa: SLF001
        pool.submit(wait, "owner", trusted=True)
        wait_until(lambda: limit._callers.total() == 3)  # noqa: SLF001
        leave()
    assert turns == ["owner", "stranger"]


def test_a_thread_that_has_a_place_needs_no_second_one() -> None:
    limit = ConcurrencyLimit(1)
    with limit.place():
        with limit.place():
            pass
        assert isinstance(enter(limit), Busy)
    limit.enter()


@pytest.fixture
def streaming(settings: Settings) -> Flask:
    app = create_app(settings)
    limit = ConcurrencyLimit(1)

    def parts() -> Iterator[str]:
        yield "one"
        yield "two"

    @app.get("/parts")
    @limit.share
    def stream() -> ResponseReturnValue:
        return app.response_class(parts())

    @app.get("/fails")
    @limit.share
    def fail() -> ResponseReturnValue:
        raise LookupError

    @app.get("/fails-later")
    @limit.share
    def fail_later() -> ResponseReturnValue:
        return "late", {"X-Fail": "yes"}

    @app.after_request
    def after(response: Any) -> Any:
        if "X-Fail" in response.headers:
            raise LookupError
        return response

    return app


def test_an_answer_keeps_its_place_until_it_is_handed_over_however_that_ends(streaming: Flask) -> None:
    visitor = Visitor(streaming)
    answer = visitor.get("/parts", buffered=False)
    refused = visitor.get("/parts")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert "Too many people are doing this" in Page(refused).one("main").words
    answer.close()
    for address in ("/fails", "/fails-later"):
        assert visitor.get(address).status_code == 500
        assert visitor.get("/parts").text == "onetwo"


def test_challenges_and_exports_have_shares(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    for limit, addresses in (
        (views._challenges, ["/feedback/challenge"]),  # noqa: SLF001
        (export._exports, ["/admin/messages.csv", "/admin/messages.xlsx", "/admin/messages.json"]),  # noqa: SLF001
    ):
        places = [limit.enter() for _ in range(limit._places)]  # noqa: SLF001
        assert {client.get(address).status_code for address in addresses} == {503}
        for leave in places:
            leave()
        # Twice as often as there are places: each request gives its place back.
        assert {client.get(address).status_code for address in addresses for _ in places * 2} == {200}
