"""The answers a test can order from the push service double, as a client meets them."""

import time

import pytest
import requests

from tests.doubles.push_answers import (
    ACCEPTED_THEN_RESET,
    CUT,
    ENDLESS,
    HANG,
    NORMAL,
    RESET,
    SLOW,
    Answer,
    redirect,
)
from tests.doubles.push_service import PushService
from tests.doubles.senders import Sender


def test_one_answer_holds_until_it_is_lifted(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    device.answers(429, headers={"Retry-After": "3"}, body={"reason": "TooManyRequests"})
    for _ in range(2):
        answer = sender.push(device)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
        assert answer.json() == {"reason": "TooManyRequests"}
    device.answers_normally()
    assert sender.push(device).status_code == 201
    assert len(device.pushes) == 1
    assert service.refusals == []


def test_a_list_is_answered_in_turn(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    device.answers([503, NORMAL, Answer(410, "gone for good")])
    answers = [sender.push(device) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [503, 201, 410, 201]
    assert answers[2].text == "gone for good"
    assert len(device.pushes) == 2


def test_a_service_wide_answer_yields_to_the_device(service: PushService, sender: Sender) -> None:
    own, other = service.new_device(sender.public_key), service.new_device(sender.public_key)
    own.answers(202)
    service.answers(500)
    assert [sender.push(device).status_code for device in (own, other)] == [202, 500]
    assert (len(own.pushes), len(other.pushes)) == (1, 0)


@pytest.mark.parametrize(("answer", "accepted"), [(RESET, 0), (ACCEPTED_THEN_RESET, 1), (CUT, 1)])
def test_a_connection_is_reset(service: PushService, sender: Sender, answer: Answer, accepted: int) -> None:
    device = service.new_device(sender.public_key)
    device.answers([answer])
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        sender.push(device)
    assert len(device.pushes) == accepted
    assert sender.push(device).status_code == 201
    assert [request.status for request in service.requests] == [None, 201]


@pytest.mark.parametrize("answer", [HANG, SLOW])
def test_an_answer_does_not_come_in_time(service: PushService, sender: Sender, answer: Answer) -> None:
    device = service.new_device(sender.public_key)
    device.answers(answer)
    with pytest.raises(requests.Timeout):
        sender.push(device, timeout=0.2)


def test_stopping_ends_every_kind_of_waiting(sender: Sender) -> None:
    service = PushService()
    service.start()
    for answer in (HANG, SLOW):
        device = service.new_device(sender.public_key)
        device.answers(answer)
        with pytest.raises(requests.Timeout):
            sender.push(device, timeout=0.1)
    service.answers(ENDLESS)
    with sender.push(service.new_device(sender.public_key), stream=True) as endless:
        stopping = time.monotonic()
        service.stop()
        assert time.monotonic() - stopping < 60
        with pytest.raises(requests.exceptions.RequestException):
            _ = endless.content


def test_an_endless_body_has_no_end(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    device.answers(ENDLESS)
    with sender.push(device, stream=True) as answer:
        assert answer.status_code == 201
        read = sum(len(chunk) for chunk, _ in zip(answer.iter_content(65536), range(20), strict=False))
    assert read > 1_000_000


def test_a_redirect_leads_elsewhere(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    device.answers(redirect(f"{service.url}/elsewhere"))
    answer = sender.push(device)
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{service.url}/elsewhere")


def test_latency_delays_every_answer(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    service.latency = 0.1
    started = time.monotonic()
    sender.push(device)
    assert time.monotonic() - started >= 0.1


def test_a_service_that_was_down_comes_back_where_it_was(service: PushService, sender: Sender) -> None:
    device = service.new_device(sender.public_key)
    service.stop()
    with pytest.raises(requests.ConnectionError):
        sender.push(device)
    service.start()
    assert sender.push(device).status_code == 201
    assert len(device.pushes) == 1
