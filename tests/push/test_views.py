"""The subscription endpoints: JSON for signed-in administrators with a CSRF token, words for everybody else."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from feedback_push import create_app
from feedback_push.auth import sessions
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.push import keys, sender, views
from feedback_push.push.models import DeviceState, Subscription
from tests.conftest import KEYS
from tests.push.devices import owner
from tests.push.malformed import DEEP, GOOD, SUBSCRIPTIONS, UNREADABLE
from tests.push.notes import announce
from tests.visits import Visitor

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
ENDPOINTS = ["/push/subscribe", "/push/unsubscribe"]


class Administrator(Visitor):
    """A signed-in browser with the script that sends the CSRF token it was given."""

    @classmethod
    def of(cls, app: Flask, user: User) -> "Administrator":
        browser = cls(app)
        sessions.begin(user, browser="Browser", remembered=False)
        db.session.commit()
        with browser.session_transaction(base_url=browser.site) as session:
            session.update(_user_id=user.token, _fresh=True)
        return browser

    def token(self) -> str:
        return self.get("/push/key").headers["X-CSRFToken"]

    def call(self, address: str, body: Any, **headers: str) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body)
        headers = {"X-CSRFToken": self.token(), "Referer": self.site, "User-Agent": AGENT, **headers}
        return self.post(address, data=data, content_type="application/json", headers=headers)

    def subscribe(self, endpoint: str = GOOD["endpoint"]) -> TestResponse:
        return self.call("/push/subscribe", {**GOOD, "endpoint": endpoint})

    def unsubscribe(self, endpoint: str = GOOD["endpoint"]) -> TestResponse:
        return self.call("/push/unsubscribe", {"endpoint": endpoint})


@pytest.fixture
def admin(app: Flask) -> Administrator:
    return Administrator.of(app, owner())


def _error(response: TestResponse) -> str:
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    data = response.get_json()
    assert list(data) == ["error"]
    words: str = data["error"]
    assert words
    return words


def _devices() -> list[Subscription]:
    db.session.rollback()
    return db.session.query(Subscription).all()


@pytest.mark.parametrize("address", [*ENDPOINTS, "/push/key"])
@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": "made up"}])
def test_an_anonymous_caller_is_asked_in_json_to_sign_in(
    client: Visitor, address: str, headers: dict[str, str]
) -> None:
    method = "GET" if address == "/push/key" else "POST"
    refused = client.open(address, method=method, json=GOOD if method == "POST" else None, headers=headers)
    assert refused.status_code == 401
    assert _error(refused) == "Please sign in first."


def test_a_token_from_before_signing_out_helps_nobody(app: Flask, admin: Administrator) -> None:
    token = admin.token()
    assert admin.sign_out().status_code == 303
    refused = admin.post("/push/subscribe", json=GOOD, headers={"X-CSRFToken": token})
    assert refused.status_code == 401
    assert _devices() == []


@pytest.mark.parametrize("address", ENDPOINTS)
@pytest.mark.parametrize("headers", [{}, {"X-CSRFToken": ""}, {"X-CSRFToken": "made up"}])
def test_without_a_valid_csrf_token_nothing_happens(
    admin: Administrator, address: str, headers: dict[str, str]
) -> None:
    admin.token()
    refused = admin.post(address, json=GOOD, headers=headers)
    assert refused.status_code == 400
    assert "try once more" in _error(refused)
    assert _devices() == []


def test_another_sessions_csrf_token_does_not_count(app: Flask, admin: Administrator) -> None:
    other = Administrator.of(app, owner("other@example.org"))
    assert admin.call("/push/subscribe", GOOD, **{"X-CSRFToken": other.token()}).status_code == 400


def test_the_key_to_subscribe_with_comes_with_a_csrf_token(admin: Administrator) -> None:
    answer = admin.get("/push/key")
    assert answer.get_json() == {"applicationServerKey": KEYS.public_key}
    assert answer.headers["Cache-Control"] == "no-store"
    headers = {"X-CSRFToken": answer.headers["X-CSRFToken"]}
    assert admin.post("/push/subscribe", json=GOOD, headers=headers).status_code == 200


def test_a_browser_subscribes_and_is_stored_under_a_name_for_people(admin: Administrator) -> None:
    answer = admin.subscribe()
    assert (answer.status_code, answer.get_json()) == (200, {"status": "subscribed"})
    [device] = _devices()
    assert (device.endpoint, device.name, device.vapid_public_key) == (
        GOOD["endpoint"],
        "Firefox on Linux",
        KEYS.public_key,
    )


def test_a_browser_may_say_which_of_the_live_keys_it_has_used(admin: Administrator) -> None:
    new = keys.rotate()
    db.session.commit()
    for key in (KEYS.public_key, new):
        assert admin.call("/push/subscribe", {**GOOD, "applicationServerKey": key}).status_code == 200
        assert [device.vapid_public_key for device in _devices()] == [key]
    admin.subscribe()
    assert [device.vapid_public_key for device in _devices()] == [new]
    assert admin.get("/push/key").get_json() == {"applicationServerKey": new}


@pytest.mark.parametrize("key", ["", "another key", 7, ["x"], {}, True])
def test_a_browser_that_used_another_key_is_refused(admin: Administrator, key: Any) -> None:
    refused = admin.call("/push/subscribe", {**GOOD, "applicationServerKey": key})
    assert refused.status_code == 422
    assert "key" in _error(refused)
    assert _devices() == []


def test_subscribing_twice_is_one_device(admin: Administrator) -> None:
    for _ in range(2):
        assert admin.subscribe().status_code == 200
    assert len(_devices()) == 1


def test_an_administrator_may_have_several_devices(admin: Administrator) -> None:
    for number in range(3):
        admin.subscribe(f"{GOOD['endpoint']}{number}")
    assert len(_devices()) == 3


def test_a_device_belongs_to_whoever_subscribed_it_last(app: Flask, admin: Administrator) -> None:
    admin.subscribe()
    other = owner("other@example.org")
    Administrator.of(app, other).subscribe()
    [device] = _devices()
    assert device.user_id == other.id


@pytest.mark.parametrize("state", [DeviceState.GONE, DeviceState.STALE])
def test_subscribing_again_revives_a_gone_or_stale_device(admin: Administrator, state: DeviceState) -> None:
    admin.subscribe()
    db.session.query(Subscription).update({"state": state})
    db.session.commit()
    admin.subscribe()
    assert [device.state for device in _devices()] == [DeviceState.LIVE]


def test_unsubscribing_is_the_same_whether_the_device_is_there_or_not(admin: Administrator) -> None:
    admin.subscribe()
    for _ in range(2):
        answer = admin.unsubscribe()
        assert (answer.status_code, answer.get_json()) == (200, {"status": "unsubscribed"})
        assert _devices() == []


def test_nobody_unsubscribes_another_administrators_device(app: Flask, admin: Administrator) -> None:
    admin.subscribe()
    assert Administrator.of(app, owner("other@example.org")).unsubscribe().status_code == 200
    assert len(_devices()) == 1


def test_a_body_that_is_no_subscription_is_refused_with_a_reason(admin: Administrator) -> None:
    for data, words in SUBSCRIPTIONS:
        refused = admin.call("/push/subscribe", data)
        assert refused.status_code == 422, data
        assert words in _error(refused)
    assert _devices() == []


@pytest.mark.parametrize("address", ENDPOINTS)
def test_a_body_that_is_no_json_is_refused(admin: Administrator, address: str) -> None:
    for data in UNREADABLE:
        refused = admin.call(address, data)
        assert refused.status_code == 400, data
        assert _error(refused)


@pytest.mark.parametrize("address", ENDPOINTS)
def test_json_nested_a_thousand_times_is_refused(admin: Administrator, address: str) -> None:
    for data in DEEP:
        refused = admin.call(address, data)
        assert refused.status_code in (400, 422), data[:10]
        assert _error(refused)


@pytest.mark.parametrize("address", ENDPOINTS)
def test_a_body_in_another_format_is_refused(admin: Administrator, address: str) -> None:
    headers = {"X-CSRFToken": admin.token()}
    refused = admin.post(address, data={"endpoint": GOOD["endpoint"]}, headers=headers)
    assert refused.status_code == 415
    assert _error(refused)


@pytest.mark.parametrize("address", ENDPOINTS)
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_a_body_larger_than_any_subscription_is_not_read(admin: Administrator, address: str, content_type: str) -> None:
    body = b'{"endpoint":"' + b"a" * views.LARGEST_BODY + b'"}'
    headers = {"X-CSRFToken": admin.token()}
    refused = admin.post(address, data=body, content_type=content_type, headers=headers)
    assert refused.status_code in ((413,) if content_type == "application/json" else (413, 415))
    assert _error(refused)


def test_a_body_of_unknown_length_is_not_read_to_its_end(admin: Administrator) -> None:
    body = BytesIO(b" " * 1_000_000)
    chunked = {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    headers = {"X-CSRFToken": admin.token()}
    refused = admin.post("/push/subscribe", content_type="application/json", headers=headers, environ_overrides=chunked)
    assert refused.status_code in (400, 413)
    assert body.tell() <= views.LARGEST_BODY


@pytest.mark.parametrize(
    "data",
    [None, [], "text", {}, {"endpoint": None}, {"endpoint": ""}, {"endpoint": 7}, {"endpoint": ["x"]}]
    + [{"endpoint": endpoint} for endpoint in ("\u0000", "\ud800", "http://127.0.0.1/é")],
)
def test_unsubscribing_nothing_is_refused(admin: Administrator, data: Any) -> None:
    refused = admin.call("/push/unsubscribe", data)
    assert refused.status_code == 422
    assert "endpoint" in _error(refused)


@pytest.mark.parametrize("address", ENDPOINTS)
def test_subscriptions_are_not_to_be_had_by_other_methods(admin: Administrator, address: str) -> None:
    refused = admin.get(address)
    assert (refused.status_code, refused.mimetype) == (405, "application/json")
    assert refused.allow == {"OPTIONS", "POST"}


def test_a_database_that_fails_puts_no_secret_of_the_device_into_the_log(
    admin: Administrator, caplog: pytest.LogCaptureFixture
) -> None:
    token = admin.token()
    db.session.execute(text("DROP TABLE push_subscription"))
    db.session.commit()
    failed = admin.post("/push/subscribe", json=GOOD, headers={"X-CSRFToken": token})
    assert failed.status_code >= 500
    assert "database error" in caplog.text
    assert not [secret for secret in (GOOD["endpoint"], *GOOD["keys"].values()) if secret in caplog.text]


def test_without_vapid_keys_nobody_subscribes_and_everybody_unsubscribes(settings: Settings, app: Flask) -> None:
    off = create_app(replace(settings, vapid_private_key="", vapid_public_key="", vapid_subject=""))
    admin = Administrator.of(app, owner())
    admin.subscribe()
    token = admin.token()
    admin.application = off
    assert "VAPID" in _error(admin.get("/push/key"))
    headers = {"X-CSRFToken": token}
    refused = admin.post("/push/subscribe", json=GOOD, headers=headers)
    assert (refused.status_code, "VAPID" in _error(refused)) == (404, True)
    assert admin.post("/push/unsubscribe", json=GOOD, headers=headers).status_code == 200
    assert _devices() == []
    with off.app_context():
        db.engine.dispose()


class SlowBody(BytesIO):
    """A body that arrives slowly; `waits` records whether a transaction was open meanwhile."""

    def __init__(self, body: bytes, waits: list[bool]) -> None:
        super().__init__(body)
        self.waits = waits

    def readinto(self, buffer: Any) -> int:
        self.waits.append(db.session().in_transaction())
        return super().readinto(buffer)


@pytest.mark.parametrize("address", [*ENDPOINTS, "/push/receipt"])
def test_nobody_waits_for_a_body_that_arrives_slowly(admin: Administrator, address: str) -> None:
    waits: list[bool] = []
    body = json.dumps(GOOD | {"token": "1.x", "event": "shown"}).encode()
    headers = {"X-CSRFToken": admin.token(), "Referer": admin.site, "Content-Length": str(len(body))}
    sent = {"input_stream": SlowBody(body, waits), "content_type": "application/json", "headers": headers}
    assert admin.post(address, **sent).status_code in (200, 204)
    assert waits
    assert not any(waits)


def test_a_lost_endpoint_is_refused_with_a_reason_even_if_every_host_is_allowed(settings: Settings) -> None:
    app = create_app(replace(settings, push_allowed_hosts=("*.invalid", "permanently-removed.invalid")))
    with app.app_context():
        refused = Administrator.of(app, owner()).subscribe("https://permanently-removed.invalid/fcm/send/abc")
        assert refused.status_code == 422
        assert "This subscription is no longer valid." in _error(refused)
        assert _devices() == []
        db.session.remove()
        db.engine.dispose()


def test_a_windows_address_keeps_its_token_to_the_byte(app: Flask, watched_service: "RawService") -> None:
    tokens = ["BQY%2bz%2Fq%3d%3D", "BQY%2Bz%2fq%3D%3d", "a+b/c=d==", "%41%7e~!$'()*,;:@&x=%25%20?", "a%2525&token=b"]
    endpoints = [f"{watched_service.url}/w/?token={token}" for token in tokens]
    admin = Administrator.of(app, owner())
    for endpoint in [*endpoints, *endpoints]:
        assert admin.subscribe(endpoint).status_code == 200
    assert [device.endpoint for device in _devices()] == endpoints
    announce()
    sender.run()
    assert sorted(watched_service.lines) == sorted(f"POST /w/?token={token} HTTP/1.1" for token in tokens)
    assert admin.unsubscribe(endpoints[0]).status_code == 200
    assert [device.endpoint for device in _devices()] == endpoints[1:]


class RawService:
    """A push service that accepts every push and records its raw request line."""

    def __init__(self) -> None:
        lines = self.lines = list[str]()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                lines.append(self.requestline)
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def watched_service() -> Iterator[RawService]:
    service = RawService()
    with service.server as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield service
        server.shutdown()
        thread.join()
