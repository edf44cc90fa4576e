"""The doctor asks the broker, the site as the world sees it, and the push services."""

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import replace
from email.utils import format_datetime
from pathlib import Path

import pytest
from flask import Flask

from feedback_push import create_app
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.doctor import examination, network, network_checks
from feedback_push.doctor.results import State
from tests import servers
from tests.doctor.conftest import SCRIPT, faults, inside, outside, use
from tests.doubles.certificates import LoopbackAuthority
from tests.doubles.push_service import PushService
from tests.doubles.web_site import Page, WebSite
from tests.push.devices import new_device, owner, unreachable_devices


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "TIMEOUT", 0.5)


@pytest.fixture
def https_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, front: WebSite) -> Iterator[WebSite]:
    authority = LoopbackAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with WebSite(authority.server_context()) as site:
        site.pages = front.pages
        yield site


@pytest.mark.usefixtures("redis_url")
def test_where_everything_answers_nothing_is_wrong(app: Flask, service: PushService) -> None:
    new_device(owner(), service)
    results = examination.outside()
    well = {result.check for result in results if result.state == State.OK}
    assert well == {"broker", "site", "service_worker", "push_service", "clock"}
    assert faults(results) == []


def test_no_transaction_is_open_while_others_are_asked(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    owner()
    open_ones: list[bool] = []
    collect = network.collect

    def watch(origins: list[str]) -> network.Facts:
        open_ones.append(db.session().in_transaction())
        return collect(origins)

    monkeypatch.setattr(network, "collect", watch)
    examination.inside()
    assert not db.session().in_transaction()
    examination.outside()
    assert open_ones == [False]


@pytest.mark.usefixtures("quick")
def test_a_site_that_is_away_silent_or_another_one_is_a_fault(app: Flask, front: WebSite) -> None:
    front.pages["/healthz"] = Page(b"<h1>It works</h1>", content_type="text/html")
    assert "Something else answers" in outside("site")[0].text
    front.pages["/healthz"] = Page(status=301, headers={"Location": "https://example.org/"})
    assert "301" in outside("site")[0].text
    front.pages["/healthz"] = Page(silent=True)
    assert "no answer in time" in outside("site")[0].text
    use(app, site_url=f"http://127.0.0.1:{servers.free_port()}")
    assert "nothing listens there" in outside("site")[0].text
    assert {each.state for each in outside("service_worker")} == {State.SKIPPED}


def test_a_service_worker_that_a_browser_refuses_is_a_fault(app: Flask, front: WebSite) -> None:
    for page, words in (
        (replace(SCRIPT, status=302, headers={"Location": "/elsewhere"}), "HTTP status 302"),
        (replace(SCRIPT, content_type="text/plain"), "text/javascript"),
        (replace(SCRIPT, headers={"Cache-Control": "max-age=86400"}), "may be cached"),
        (replace(SCRIPT, headers={**SCRIPT.headers, "Service-Worker-Allowed": "/other/"}), "not below its script"),
    ):
        front.pages["/visitor/sw.js"] = page
        admin, visitor = outside("service_worker")
        assert (admin.state, visitor.state, words in visitor.text) == (State.OK, State.WRONG, True), visitor
        assert visitor.subject.endswith("/visitor/")


def test_the_certificate_says_how_many_days_are_left(
    settings: Settings, https_front: WebSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(replace(settings, site_url=https_front.url))
    with app.app_context():
        # The certificate is valid for two days, of which one is left.
        [certificate] = outside("certificate")
        assert (certificate.state, certificate.text) == (State.OK, "The certificate is valid for 0 days.")
        later = utcnow() + dt.timedelta(hours=15)
        monkeypatch.setattr(network_checks, "utcnow", lambda: later)
        assert faults(outside("certificate")) == ["certificate"]
        monkeypatch.setenv("SSL_CERT_FILE", str(LoopbackAuthority(tmp_path).ca_file))
        assert "not trusted" in outside("certificate")[0].text
        db.engine.dispose()


@pytest.mark.usefixtures("quick")
def test_each_push_service_in_use_has_to_be_reachable_and_allowed(app: Flask, front: WebSite) -> None:
    assert outside("push_service")[0].state == State.SKIPPED
    user = owner()
    unreachable_devices(user, 1, origin=front.url)
    unreachable_devices(user, 1, origin=f"http://127.0.0.1:{servers.free_port()}")
    unreachable_devices(user, 1, origin="https://push.example.org")
    found = outside("push_service")
    assert [each.state for each in found] == [State.OK, State.WRONG, State.WRONG]
    assert "nothing listens there" in found[1].text
    assert "PUSH_ALLOWED_HOSTS" in found[2].fix
    use(app, push_allow_private_addresses=False)
    assert {each.state for each in outside("push_service")} == {State.WRONG}


def test_a_clock_that_differs_from_the_push_services_is_a_fault(app: Flask, front: WebSite) -> None:
    unreachable_devices(owner(), 1, origin=front.url)
    for minutes, word in ((0, "agrees"), (-3, "ahead"), (3, "behind")):
        theirs = utcnow() + dt.timedelta(minutes=minutes)
        front.pages["/"] = Page(status=404, headers={"Date": format_datetime(theirs, usegmt=True)})
        [clock] = outside("clock")
        assert (word in clock.text, clock.state == State.WRONG) == (True, bool(minutes))


@pytest.mark.usefixtures("quick")
def test_a_broker_that_is_away_is_a_fault(app: Flask) -> None:
    use(app, redis_url=f"redis://127.0.0.1:{servers.free_port()}/0")
    assert faults(outside("broker")) == ["broker"]
    assert "REDIS_URL" in outside("broker")[0].fix


@pytest.mark.usefixtures("quick")
def test_what_the_embedded_broker_needs_is_the_command_that_runs_it(app: Flask) -> None:
    use(app, redis_url="")
    [broker], [worker] = outside("broker"), inside("workers")
    assert faults([broker, worker]) == ["broker", "workers"]
    assert broker.fix == worker.fix == "Start the site again: make run"


def test_what_does_not_answer_holds_nobody_for_long_and_one_asks_at_a_time(
    app: Flask, front: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_ALTOGETHER", 1.0)  # far less than the requests themselves may take
    for path in list(front.pages):
        front.pages[path] = Page(silent=True)
    found: list[State] = []
    still_asking: list[bool] = []

    def ask() -> None:
        with app.app_context():
            found.append(outside("site")[0].state)
            still_asking.append(any(thread.name.startswith("doctor") for thread in threading.enumerate()))

    first = threading.Thread(target=ask)
    first.start()
    servers.wait_until(lambda: len(front.requests) == 3)
    ask()
    first.join()
    assert (found, still_asking) == ([State.SKIPPED, State.WRONG], [True, True])
    assert len(front.requests) == 3
