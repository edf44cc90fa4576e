"""Sentry and OpenTelemetry: off unless set, and then nothing of a visitor or a device leaves the server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import text

from feedback_push import config, create_app, error_reports
from feedback_push.config import Settings
from feedback_push.database import db
from tests import servers
from tests.conftest import KEYS, PASSWORD, make_settings
from tests.doubles.push_service import PushService
from tests.doubles.receiver import Receiver
from tests.environment import environment_of
from tests.flow.deliveries import wait_until_final
from tests.site import Site

TYPED = {"content": "a visitor's own words", "name": "Ada Lovelace", "email": "ada@example.org"}
SPANS = {"POST /feedback/", "push.fan_out", "push.deliver", "push"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def spans_of(receiver: Receiver) -> list[Span]:
    requests = [ExportTraceServiceRequest.FromString(body) for body in receiver.bodies("/v1/traces")]
    return [
        span
        for sent in requests
        for resource in sent.resource_spans
        for of in resource.scope_spans
        for span in of.spans
    ]


def events_of(receiver: Receiver) -> list[dict[str, Any]]:
    bodies = receiver.bodies("/api/7/envelope/")
    lines = [json.loads(line) for body in bodies for line in body.splitlines() if line.startswith(b"{")]
    return [line for line in lines if "level" in line]


@pytest.mark.server
def test_errors_and_traces_leave_the_server_without_texts_addresses_and_cookies(
    sqlite_url: str, redis_url: str, service: PushService, receiver: Receiver, tmp_path: Path
) -> None:
    exports = {
        "SENTRY_DSN": f"http://publickey@127.0.0.1:{receiver.port}/7",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",  # milliseconds
    }
    device = service.new_device(KEYS.public_key)
    with Site(make_settings(sqlite_url, redis_url, tmp_path)) as site:
        site.serve(**exports)
        site.work("--pool", "threads", **exports)
        staff, visitor = site.staff(), site.visitor()
        staff.subscribe(device)
        sent = visitor.write(**TYPED).history[0].headers["X-Request-ID"]
        wait_until_final(site)
        servers.wait_until(lambda: {span.name for span in spans_of(receiver) if span.trace_id.hex() == sent} >= SPANS)
        with site.database():
            db.session.execute(text("ALTER TABLE push_outbox RENAME TO elsewhere"))
            db.session.commit()
        assert visitor.write(**TYPED).status_code == 503
        servers.wait_until(lambda: any(event["logger"].endswith("feedback.views") for event in events_of(receiver)))
        secrets = {*staff.cookies.values(), *visitor.cookies.values(), device.endpoint, device.endpoint[-20:], PASSWORD}
    left = b"".join(body for _, body in receiver.posts)
    assert [secret for secret in [*TYPED.values(), *secrets] if secret.encode() in left] == []

    trace = [span for span in spans_of(receiver) if span.trace_id.hex() == sent]
    assert {span.name for span in trace} == SPANS
    spans = {span.name: span for span in trace}
    assert spans["push.fan_out"].parent_span_id == spans["POST /feedback/"].span_id
    [error] = [event for event in events_of(receiver) if event["logger"].endswith("feedback.views")][:1]
    assert error["logentry"] == {"message": "a message could not be stored"}
    assert error["exception"]["values"][-1]["type"] == "OperationalError"
    assert error["exception"]["values"][-1]["stacktrace"]["frames"][-1].keys().isdisjoint({"vars"})
    assert set(error["tags"]) == {"request_id"}


def test_an_event_keeps_only_what_is_listed() -> None:
    secret = "a visitor's own words"
    frame = {"function": "store", "lineno": 7, "vars": {"content": secret}}
    event = {
        "event_id": "7", "level": "error", "logger": "a.library", "server_name": "web-1",
        "logentry": {"message": secret, "params": [secret], "formatted": secret},
        "request": {"url": f"https://x/{secret}", "cookies": secret, "headers": {"Cookie": secret}, "data": secret},
        "user": {"ip_address": secret}, "extra": {"a": secret}, "contexts": {"a": secret}, "tags": {"a": secret},
        "breadcrumbs": {"values": [{"message": secret}]}, "transaction": secret, "modules": {"a": secret},
        "exception": {"values": [{"type": "ValueError", "value": secret, "mechanism": {"data": secret},
                                  "stacktrace": {"frames": [frame] * 300}}]},
    }  # fmt: skip
    sent = error_reports.scrub(event, {})
    assert secret not in json.dumps(sent)
    [error] = sent["exception"]["values"]
    assert (error["type"], len(error["stacktrace"]["frames"])) == ("ValueError", 100)
    assert sent["server_name"] == "web-1"


def test_nothing_is_loaded_unless_it_is_set_and_a_missing_library_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not the rest of OpenTelemetry, which redis-py loads if it is there.
    asking = (
        "import sys, wsgi; print({'sentry_sdk', 'opentelemetry.exporter.otlp', 'prometheus_client'} & set(sys.modules))"
    )
    command, environment = [sys.executable, "-c", asking], environment_of(settings)
    said = subprocess.run(command, cwd=servers.CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(config.ConfigError, match=r"SENTRY_DSN: needs a library.*feedback-push\[sentry\]"):
        create_app(replace(settings, sentry_dsn="https://key@sentry.example.org/1"))
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(config.ConfigError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT: .*feedback-push\[otel\]"):
        create_app(replace(settings, otel_exporter_otlp_endpoint="http://127.0.0.1:4318"))
