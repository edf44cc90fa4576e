"""in_flight.py: the gateway of a process."""

import os
from queue import SimpleQueue

import pytest
from flask import Flask

from feedback_push.push import in_flight
from feedback_push.webpush.concurrency import OriginQueue
from tests import servers
from tests.conftest import KEYS
from tests.doubles.push_service import PushService
from tests.webpush.sending import push_to, send


def test_a_process_has_one_gateway_and_a_forked_child_makes_its_own(app: Flask) -> None:
    first = in_flight.gateway()
    assert in_flight.gateway() is first
    child = os.fork()
    if not child:
        os._exit(in_flight.gateway() is first or not in_flight.gateway().is_running)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert in_flight.gateway() is first


def test_a_gateway_that_has_failed_is_replaced(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, service: PushService
) -> None:
    failed, push = in_flight.gateway(), push_to(service.new_device(KEYS.public_key))
    with monkeypatch.context() as patch:
        patch.setattr(OriginQueue, "take", lambda *_: 1 / 0)
        failed.sign_with([KEYS])
        failed.send([(0, push)], SimpleQueue())
        servers.wait_until(lambda: not failed.is_running)
    assert "the gateway has stopped: ZeroDivisionError" in caplog.text
    [result] = send(in_flight.gateway([KEYS]), push)
    assert result.status == 201
