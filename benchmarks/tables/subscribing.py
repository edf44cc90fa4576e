"""Measure how fast a visitor's browser subscribes on a site with few and with very many followers."""

import json
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import count

from benchmarks import devices, followers, launcher, site, two_sizes
from benchmarks.push_service import Run
from benchmarks.report import Table
from benchmarks.site import Kind
from benchmarks.stage import Stage
from benchmarks.two_sizes import Comparison


def measure(stage: Stage) -> Table:
    """Let new browsers follow the topic of a site."""
    return two_sizes.measure(
        stage,
        Comparison(
            name="subscribing",
            title="POST /visitor/push/subscribe: a new browser follows a topic, one after another",
            counted="followers",
            sizes=stage.scale.subscribed,
            requests=stage.scale.subscriptions,
            start=_start,
        ),
    )


class _Browsers:
    """New browsers, one after another, that follow the topic of one site."""

    def __init__(self, site_: site.Site, run: Run) -> None:
        self._connection = HTTPConnection(site_.settings.host, site_.settings.port, timeout=60)
        self._prefix = f"{run.prefix}new-"
        self._numbers = count()

    def request(self) -> None:
        """Subscribe the next browser."""
        subscription = devices.subscription(self._prefix, next(self._numbers), devices.keys())
        body = json.dumps({"subscription": subscription, "topics": [followers.SLUG]})
        self._connection.request("POST", "/visitor/push/subscribe", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"the subscription was answered with {answer.status}: {text}")

    def reconnect(self) -> None:
        """Subscribe one more browser, over a new connection."""
        self._connection.close()
        self.request()


def _start(stage: Stage, stack: ExitStack, kind: Kind, size: int) -> _Browsers:
    run = stage.service.new_run(0)
    made = stack.enter_context(site.made(stage, kind, embedded_broker=True))
    with made.app.app_context():
        followers.topic_with(made, run.prefix, size)
    stack.enter_context(launcher.running(stage, made.settings))
    return _Browsers(made, run)
