"""Apprise: strangers' texts as harmless text, in a process that can do nothing but connect to public addresses."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from feedback_push.database import db
from feedback_push.http_client import Reason
from feedback_push.webhooks import apprise_program, apprise_service, deliveries, payloads
from feedback_push.webhooks.apprise_service import Fault
from feedback_push.webhooks.models import Delivery, Event, State, TargetKind, Wanted
from feedback_push.webhooks.payloads import Text
from feedback_push.webpush import endpoints
from tests.doubles.webhook_receiver import Reply, WebhookReceiver
from tests.feedback.messages import receive
from tests.webhooks.receivers import new_target, only_delivery, send, states

TEXT = Text("A title", "A text")
PROBE = """
import os, runpy, socket, subprocess, sys, syslog
program = runpy.run_path(sys.argv[1])
guard = program["_Guard"](program["_load"](sys.argv[2]), [], private_allowed=False)
sys.addaudithook(guard.check)
for attempt in (
    lambda: open(sys.argv[3]),
    lambda: open(sys.argv[3], "w"),
    lambda: os.open(sys.argv[3], os.O_RDWR),
    lambda: subprocess.run(["true"]),
    lambda: os.system("true"),
    lambda: os.fork() or os._exit(0),
    lambda: socket.create_connection(("127.0.0.1", 1)),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("10.0.0.1", 53)),
    lambda: syslog.syslog("hello"),
    lambda: open(os.__file__).close(),
):
    try:
        attempt()
        print("done")
    except PermissionError:
        print("refused")
"""
MARKUP = "@everyone <!channel> <@U1> <b>b</b> &lt; *b* _i_ ~s~ `c` [x](https://evil.example) ||s|| # h {{t}} ![](a) \\"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def of(receiver: WebhookReceiver, scheme: str = "json", path: str = "/hook") -> str:
    return receiver.url.replace("http:", f"{scheme}:") + path


@pytest.mark.usefixtures("app")
def test_strangers_markup_and_mentions_are_only_text_in_every_service(receiver: WebhookReceiver) -> None:
    new_target(kind=TargetKind.APPRISE, url=of(receiver))
    written = receive(submitter_name=f"Ada {MARKUP}", content=f"{MARKUP}\x1b[31m {'and so on ' * 100}")
    send()
    (request,) = receiver.requests
    sent = request.json()
    for text in (sent["title"], sent["message"].rpartition("\n\n")[0]):
        assert "everyone" in text
        assert not set("@<>&*_~`[]|#{}\\!\x1b") & set(text)
    assert sent["title"].startswith("Feedback Push: New message of ")
    assert sent["message"].endswith(f"...\n\nhttp://127.0.0.1:8000/admin/messages/{written.id}")
    assert len(sent["message"]) < payloads.LONGEST_TEXT + 100
    assert states() == [State.SENT]


@pytest.mark.usefixtures("app")
def test_an_alarm_a_test_and_an_unseen_message_have_texts_in_the_language_of_the_target() -> None:
    target = new_target(kind=TargetKind.APPRISE, url="json://example.org", wanted=Wanted.UNSEEN)
    receive(submitter_name="")
    deliveries.add(target, Event.ALARM, {"title": "Fire", "text": "It burns.", "url": "https://a/b"})
    deliveries.add_test(target)
    db.session.commit()
    unseen, alarm, test = db.session.query(Delivery).order_by(Delivery.id)
    assert payloads.as_text(unseen).title == "Feedback Push: Nobody has seen the message of Anonymous"
    assert payloads.as_text(alarm) == ("Fire", "It burns.\n\nhttps://a/b")
    assert payloads.as_text(test) == ("Feedback Push: Test", "This is the test that you asked for.")


@pytest.mark.usefixtures("app")
def test_a_failure_is_tried_again_and_says_why_without_the_address(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_target(kind=TargetKind.APPRISE, url=of(receiver, path="/a-secret-path-that-nobody-may-read"))
    receiver.answer("/a-secret-path-that-nobody-may-read/", Reply(500), Reply(500))
    receiver.answer("/a-secret-path-that-nobody-may-read", Reply(500), Reply(500))
    receive()
    send()
    failed = only_delivery()
    assert (failed.state, failed.error) == (State.WAITING, Fault.REFUSED)
    assert "500" in (failed.detail or "")
    assert "secret" not in (failed.detail or "")
    assert apprise_service.send("nothing://example.org", TEXT)[0] == Fault.URL
    monkeypatch.setattr(apprise_service, "TIMEOUT", 0.1)
    assert apprise_service.send(of(receiver), TEXT) == (Reason.TIMEOUT, "")
    monkeypatch.setattr(apprise_service, "find_spec", lambda _: None)
    assert apprise_service.send(of(receiver), TEXT) == (Fault.MISSING, "")


def test_it_connects_only_to_public_and_listed_addresses(public_only: Flask, receiver: WebhookReceiver) -> None:
    for scheme in ("json", "mqtt"):
        assert apprise_service.send(of(receiver, scheme), TEXT)[0] in (Reason.NOT_PUBLIC, Fault.URL), scheme
    assert receiver.requests == []
    listed = replace(public_only.extensions["settings"], webhook_private_hosts=("localhost",))
    public_only.extensions["settings"] = listed
    by_name = of(receiver).replace("127.0.0.1", "localhost")
    assert apprise_service.send(by_name, TEXT) == ("", "")
    assert len(receiver.requests) == 1


def test_it_can_read_no_file_write_none_and_start_no_program(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    command = [sys.executable, "-I", "-c", PROBE, apprise_program.__file__, endpoints.__file__, str(secret)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["refused"] * 9 + ["done"]
    assert secret.read_text() == "secret"
