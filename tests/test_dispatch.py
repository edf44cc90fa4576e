"""dispatch.py: publishing never raises and never blocks, even if the broker fails."""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from feedback_push import create_app, dispatch
from feedback_push.config import Settings
from tests import servers
from tests.published import PublishedTasks


def _publish_often(times: int) -> float:
    started = time.monotonic()
    for number in range(times):
        dispatch.publish("push.fan_out", number)
    return time.monotonic() - started


def test_a_task_arrives_with_its_arguments(app: Flask, published: PublishedTasks) -> None:
    dispatch.publish("push.fan_out", 7)
    dispatch.publish("push.deliver")
    assert [published.next(), published.next()] == [("push.fan_out", [7]), ("push.deliver", [])]


def test_two_sites_on_one_server_do_not_take_each_others_tasks(
    settings: Settings, app: Flask, published: PublishedTasks, redis_url: str
) -> None:
    another = create_app(replace(settings, site_url="https://feedback.example.org"))
    with another.app_context(), closing(PublishedTasks(redis_url, "feedback.example.org")) as theirs:
        dispatch.publish("push.deliver")
        assert theirs.next() == ("push.deliver", [])
        assert published.all() == []


@pytest.mark.parametrize("broker", ["without_broker", "with_hanging_broker"])
def test_nobody_waits_for_a_broker_that_is_not_well(request: pytest.FixtureRequest, broker: str) -> None:
    request.getfixturevalue(broker)
    assert _publish_often(100) < 10  # each that waited for the broker would take 0.2


@pytest.mark.parametrize("broker", ["without_broker", "with_hanging_broker"])
def test_a_broker_that_is_not_well_does_not_hold_up_the_queue(request: pytest.FixtureRequest, broker: str) -> None:
    app: Flask = request.getfixturevalue(broker)
    _publish_often(5)
    waiting = app.extensions["dispatch"].waiting
    servers.wait_until(lambda: not waiting.unfinished_tasks, 20, "the end of the queue")  # kombu's own way takes 30


def test_a_lost_task_is_logged_without_the_brokers_address(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.extensions["celery"].conf.broker_url = "nosuchbroker://staff:a-password@broker.example.org"
    dispatch.publish("push.deliver")
    servers.wait_until(lambda: "the broker did not accept a task (KeyError)" in caplog.text)
    assert "a-password" not in caplog.text
    assert "broker.example.org" not in caplog.text


def test_tasks_that_find_the_queue_full_are_dropped(
    with_hanging_broker: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "_LONGEST_QUEUE", 2)
    assert _publish_often(50) < 5
    assert "too many tasks are waiting for the broker" in caplog.text


@pytest.mark.server
def test_tasks_arrive_again_when_the_broker_is_back(without_broker: Flask, broker_port: int, tmp_path: Path) -> None:
    dispatch.publish("push.fan_out", 1)
    with servers.redis_server(tmp_path, broker_port) as url, closing(PublishedTasks(url)) as published:
        dispatch.publish("push.fan_out", 2)
        servers.wait_until(lambda: published.next() == ("push.fan_out", [2]))


def test_a_forked_child_has_a_publisher_of_its_own(app: Flask, published: PublishedTasks) -> None:
    dispatch.publish("push.fan_out", 1)
    assert published.next() == ("push.fan_out", [1])
    parents = app.extensions["dispatch"]
    parents.pid -= 1  # as a child process sees its parent's object
    dispatch.publish("push.fan_out", 2)
    assert published.next() == ("push.fan_out", [2])
    assert app.extensions["dispatch"] is not parents
