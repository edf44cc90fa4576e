"""request_ids.py: one id from the request over the task to the push, always our own."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from structlog.contextvars import get_contextvars

from feedback_push import request_ids
from feedback_push.database import db
from feedback_push.push import tasks
from feedback_push.push.models import OutboxEntry
from tests.doubles.push_service import PushService
from tests.published import PublishedTasks
from tests.push.devices import new_device, owner
from tests.push.notes import time_passes
from tests.visits import Visit, Visitor


def test_every_answer_has_an_id_of_ours_and_none_that_a_client_chose(app: Flask, client: Visitor) -> None:
    theirs = "0" * 32
    addresses = ["/feedback/", "/nothing-here", "/healthz", "/api/v1/messages"]
    found = [client.get(address, headers={"X-Request-ID": theirs}).headers["X-Request-ID"] for address in addresses]
    assert all(map(request_ids.is_id, found))
    assert len({*found, theirs}) == 5
    assert "X-Request-ID" not in client.get("/static/site.css").headers  # which caches share
    assert request_ids.current() is None


def test_a_trusted_proxys_id_is_logged_beside_ours_if_it_is_short_and_plain(visit: Visit) -> None:
    def bound(proxies: int, sent: str) -> dict[str, Any]:
        app = visit(trusted_proxies=proxies).application
        with app.test_request_context("/", headers={"X-Request-ID": sent}):
            app.preprocess_request()
            return get_contextvars()

    assert bound(0, "proxy-7").keys() == {"request_id"}
    assert bound(1, "proxy-7")["proxy_request_id"] == "proxy-7"
    assert bound(1, "proxy-7")["request_id"] != "proxy-7"
    for odd in ("x" * 101, "a b", 'a"b', "é"):
        assert bound(1, odd).keys() == {"request_id"}


def test_the_id_goes_with_the_task_in_its_messages_headers(
    app: Flask, client: Visitor, published: PublishedTasks
) -> None:
    sent = client.send("/feedback/", content="Hello", submitter_name="Ada")
    assert published.headers()["request_id"] == sent.headers["X-Request-ID"]


def test_a_tasks_lines_have_the_id_of_its_message_and_no_other_text(app: Flask) -> None:
    with request_ids.of_task("push.deliver", "7", {"request_id": "0f" * 16}):
        assert get_contextvars() == {"task": "push.deliver", "task_id": "7", "request_id": "0f" * 16}
    for odd in (None, {}, {"request_id": 7}, {"request_id": "x" * 32}, {"request_id": "0" * 1000}):
        with request_ids.of_task("push.deliver", None, odd):
            assert request_ids.current() is None


def test_a_push_that_a_sweep_sends_later_is_logged_with_the_request_that_stored_it(
    app: Flask, client: Visitor, service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    device = new_device(owner(), service)
    device.answers(503)
    sent = client.send("/feedback/", content="Hello", submitter_name="Ada").headers["X-Request-ID"]
    [entry] = db.session.scalars(select(OutboxEntry))
    assert entry.request_id == sent
    entry_id = entry.id
    db.session.rollback()
    tasks.fan_out(entry_id)
    tasks.deliver()
    device.answers_normally()
    time_passes(120)
    tasks.deliver()
    answers = [vars(record) for record in caplog.records if record.name == "feedback_push.push.answers"]
    assert [(answer["outcome"], answer["status"]) for answer in answers] == [("unavailable", 503), ("accepted", 201)]
    assert {(answer["request_id"], answer["entry"]) for answer in answers} == {(sent, entry_id)}
    assert answers[0]["message"] == f"1 pushes of outbox entry {entry_id}: unavailable"
    assert device.endpoint not in caplog.text
