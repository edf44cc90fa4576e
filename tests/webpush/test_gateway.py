"""The gateway: the requests it sends to a push service, and the result of each answer."""

import logging
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import SimpleQueue

import pytest

from feedback_push.webpush import concurrency, gateway, responses, vapid
from feedback_push.webpush.gateway import Result
from tests import servers
from tests.conftest import KEYS
from tests.doubles.certificates import LoopbackAuthority
from tests.doubles.push_answers import ACCEPTED_THEN_RESET, CUT, ENDLESS, HANG, RESET, SLOW, Answer, redirect
from tests.doubles.push_service import PushService
from tests.webpush.sending import PAYLOAD, TOPIC, impatient, new_gateway, push_to, send

MISMATCHES = [
    Answer(400, {"reason": "VapidPkHashMismatch"}),
    Answer(403, "the VAPID credentials do not correspond to the credentials used to create the subscriptions.\n"),
    Answer(403, "<HTML><TITLE>MismatchSenderId</TITLE></HTML>"),
    Answer(401, {"code": 401, "errno": 109, "error": "Unauthorized", "message": "VAPID public key mismatch"}),
]


def test_the_first_push_of_a_new_gateway_arrives_as_the_standards_want_it(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    [result] = send(new_gateway(), push_to(device))
    assert (result.key, result.status, result.error) == (0, 201, None)
    [push] = device.pushes
    assert push.payload.decode() == PAYLOAD
    assert (push.ttl, push.urgency, push.topic) == (60, "high", TOPIC)
    assert push.claims["aud"] == service.url
    assert push.claims["sub"] == "mailto:staff@example.org"
    assert push.headers["Content-Encoding"] == "aes128gcm"
    assert service.refusals == []


def test_the_server_discloses_only_the_needed_facts(service: PushService) -> None:
    send(new_gateway(), push_to(service.new_device(KEYS.public_key)))
    [request] = service.requests
    assert request.headers["User-Agent"] == "feedback-push"
    assert not {"Cookie", "Referer", "Origin", "Server"} & set(request.headers)


def test_a_push_whose_time_to_begin_is_over_is_not_sent(service: PushService) -> None:
    device, now = service.new_device(KEYS.public_key), time.monotonic()
    late, in_time = send(new_gateway(), push_to(device, start_by=now - 1), push_to(device, start_by=now + 60))
    assert isinstance(late.error, responses.Postponed)
    assert in_time.error is None
    assert len(service.requests) == 1


def test_a_push_may_go_without_topic(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    send(new_gateway(), push_to(device, topic=None))
    assert device.pushes[0].topic is None


@pytest.mark.parametrize("line", ["HTTP/2 503", "http/1.1 410 Gone", "HTTP/1.1 2010 Created"])
def test_an_answer_that_cannot_be_read_is_none(service: PushService, line: str) -> None:
    result = _answered(service, f"{line}\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(result.error, responses.Unavailable)


def test_what_only_announces_an_answer_is_none(service: PushService) -> None:
    early = "HTTP/1.1 103 Early Hints\r\nRetry-After: 77\r\n\r\n"
    result = _answered(service, f"{early}HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
    assert result.status == 429
    assert isinstance(result.error, responses.Throttled)
    assert result.error.retry_after is None


def _answered(service: PushService, head: str) -> Result[int]:
    """Return the result of a push to a service that gives this answer."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head.encode())

        thread.submit(answer)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        [result] = send(new_gateway(), push_to(service.new_device(KEYS.public_key), endpoint=address))
    return result


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_counts(service: PushService, status: int) -> None:
    service.answers(status)
    [result] = send(new_gateway(), push_to(service.new_device(KEYS.public_key)))
    assert (result.status, result.error) == (status, None)


def test_a_payload_that_needs_a_second_record_is_not_sent(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    fits, too_large = send(new_gateway(), push_to(device, payload="x" * 3993), push_to(device, payload="x" * 3994))
    assert fits.status == 201
    assert isinstance(too_large.error, responses.Rejected)
    assert len(service.requests) == 1


def test_the_largest_payload_fits_into_one_record(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    [result] = send(new_gateway(), push_to(device, payload="x" * 3000))
    assert result.status == 201
    assert len(device.pushes[0].body) <= 4096


def test_many_pushes_are_in_flight_at_once(service: PushService) -> None:
    service.held_until = 26
    devices = [service.new_device(KEYS.public_key) for _ in range(50)]
    results = send(new_gateway(), *map(push_to, devices))
    assert [result.status for result in results] == [201] * 50


def test_never_more_than_the_configured_number_are_under_way_at_one_service(service: PushService) -> None:
    service.latency = 0.02
    results = send(new_gateway(concurrency=5), *(push_to(service.new_device(KEYS.public_key)) for _ in range(30)))
    assert [result.status for result in results] == [201] * 30
    assert service.most_at_once == 5


def test_a_connection_is_used_again(service: PushService) -> None:
    door, device = new_gateway(), service.new_device(KEYS.public_key)
    for _ in range(3):
        send(door, push_to(device))
    assert len({request.client for request in service.requests}) == 1


def test_one_token_serves_all_pushes_to_an_origin(service: PushService) -> None:
    door = new_gateway()
    for _ in range(2):
        send(door, *(push_to(service.new_device(KEYS.public_key)) for _ in range(3)))
    assert len({request.headers["Authorization"] for request in service.requests}) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_an_old_token_is_signed_anew_after_a_refusal_of_the_signature(
    service: PushService, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(vapid, "_BETWEEN_REFUSED_TOKENS", 0)
    door, device = new_gateway(), service.new_device(KEYS.public_key)
    device.answers([status])
    [refused] = send(door, push_to(device))
    assert type(refused.error) is responses.Misconfigured
    [accepted] = send(door, push_to(device))
    assert accepted.status == 201
    first, second = (request.headers["Authorization"] for request in service.requests)
    assert first != second


@pytest.mark.parametrize("status", [400, 404, 410, 413, 429, 500])
def test_any_other_refusal_keeps_the_token(service: PushService, status: int) -> None:
    door, device = new_gateway(), service.new_device(KEYS.public_key)
    device.answers([status])
    for _ in range(2):
        send(door, push_to(device))
    assert len({request.headers["Authorization"] for request in service.requests}) == 1


@pytest.mark.parametrize("answer", MISMATCHES)
def test_a_key_mismatch_is_recognised_as_each_service_says_it(service: PushService, answer: Answer) -> None:
    service.answers(answer)
    [result] = send(new_gateway(), push_to(service.new_device(KEYS.public_key)))
    assert type(result.error) is responses.KeyMismatch
    assert result.status == answer.status


def test_a_subscription_made_with_another_key_is_a_mismatch(service: PushService) -> None:
    [result] = send(new_gateway(), push_to(service.new_device(vapid.generate().public_key)))
    assert type(result.error) is responses.KeyMismatch
    assert result.error.detail == "VAPID public key mismatch"


def test_reasons_are_asked_for_in_plain_text(service: PushService) -> None:
    send(new_gateway(), push_to(service.new_device(KEYS.public_key)))
    assert service.requests[0].headers["Accept-Encoding"] == "identity"


def test_retry_after_and_reason_reach_the_result(service: PushService) -> None:
    service.answers(429, headers={"Retry-After": "77"}, body={"reason": "TooManyRequests"})
    [result] = send(new_gateway(), push_to(service.new_device(KEYS.public_key)))
    assert result.error == responses.Throttled(429, "TooManyRequests", 77)


@pytest.mark.parametrize("answer", [RESET, ACCEPTED_THEN_RESET], ids=["unread", "accepted"])
def test_a_connection_that_is_reset_is_no_answer(service: PushService, answer: Answer) -> None:
    service.answers(answer)
    [result] = send(new_gateway(), push_to(service.new_device(KEYS.public_key)))
    assert type(result.error) is responses.Unavailable
    assert result.status is None


def test_a_reset_after_the_status_line_does_not_unsay_it(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    device.answers([CUT, Answer(410, "gone " * 200, manner="cut")])
    accepted, gone = (send(door, push_to(device))[0] for door in [new_gateway()] * 2)
    assert (accepted.status, accepted.error) == (201, None)
    assert type(gone.error) is responses.Gone


@pytest.mark.parametrize("answer", [HANG, SLOW], ids=["nothing", "a byte a second"])
def test_an_answer_that_does_not_come_in_time_is_none(
    service: PushService, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    impatient(monkeypatch)
    service.answers(answer)
    door, started = new_gateway(), time.monotonic()
    [result] = send(door, push_to(service.new_device(KEYS.public_key)))
    assert result.error == responses.Unavailable(None, "no answer in time")
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("status", [201, 410, 503])
def test_a_body_without_end_is_not_read_to_its_end(service: PushService, status: int) -> None:
    service.answers(Answer(status, manner="endless"))
    started = time.monotonic()
    [result] = send(new_gateway(), push_to(service.new_device(KEYS.public_key)))
    assert time.monotonic() - started < 60
    assert result.status == status


def test_a_service_that_misbehaved_is_reached_again_afterwards(service: PushService) -> None:
    door, device = new_gateway(), service.new_device(KEYS.public_key)
    device.answers([RESET, CUT, ENDLESS, Answer(503, manner="endless"), RESET])
    statuses = [send(door, push_to(device))[0].status for _ in range(6)]
    assert statuses == [None, 201, 201, 503, None, 201]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(service: PushService, status: int) -> None:
    device, other = service.new_device(KEYS.public_key), service.new_device(KEYS.public_key)
    device.answers(redirect(other.endpoint, status))
    [result] = send(new_gateway(), push_to(device))
    assert type(result.error) is responses.Unavailable
    assert len(service.requests) == 1


class _HangsUp(BaseHTTPRequestHandler):
    """Reads a push and closes the connection."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))


def test_a_service_that_closes_without_an_answer_is_reported(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    with HTTPServer(("127.0.0.1", 0), _HangsUp) as impolite, ThreadPoolExecutor(1) as thread:
        thread.submit(impolite.handle_request)
        endpoint = f"http://127.0.0.1:{impolite.server_port}/wpush/x"
        [result] = send(new_gateway(), push_to(device, endpoint=endpoint))
    assert result.error == responses.Unavailable(None, "the connection broke before an answer")


def test_a_service_that_is_down_differs_from_a_slow_one(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    service.stop()
    [result] = send(new_gateway(), push_to(device))
    assert type(result.error) is responses.Unavailable
    assert result.error.detail.startswith("cannot connect")


def test_a_name_that_does_not_resolve_is_reported(service: PushService) -> None:
    name = ".".join(["a" * 60] * 5)  # longer than any name may be, so that no resolver is asked
    door = new_gateway(hosts=(name,))
    [result] = send(door, push_to(service.new_device(KEYS.public_key), endpoint=f"http://{name}/x"))
    assert result.error == responses.Unavailable(None, "its name cannot be resolved")


def test_https_is_verified_against_the_systems_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = LoopbackAuthority(tmp_path)
    with PushService(ssl_context=authority.server_context(), hostname="localhost") as service:
        device = service.new_device(KEYS.public_key)
        [refused] = send(new_gateway(), push_to(device))
        assert refused.error == responses.Unavailable(None, "its certificate is not valid for it")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        [accepted] = send(new_gateway(), push_to(device))
        assert accepted.status == 201
        assert device.pushes[0].claims["aud"] == service.url


def test_an_allowed_name_on_a_private_address_is_not_connected_to(service: PushService) -> None:
    door = new_gateway(private=False)
    device = service.new_device(KEYS.public_key)
    [result] = send(door, push_to(device, endpoint="https://localhost/wpush/x"))
    assert type(result.error) is responses.Unavailable
    assert "is not a public address" in result.error.detail


def test_a_forbidden_endpoint_is_refused_without_a_request(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    forbidden = push_to(device, endpoint=device.endpoint.replace("127.0.0.1", "127.0.0.2"))
    unusable = push_to(device, p256dh="B" + "A" * 86)
    results = send(new_gateway(), forbidden, unusable)
    assert [type(result.error) for result in results] == [responses.Rejected] * 2
    assert [result.status for result in results] == [None] * 2
    assert service.requests == []


def test_a_key_that_the_site_no_longer_has_is_a_mismatch_without_a_request(service: PushService) -> None:
    push = push_to(service.new_device(KEYS.public_key), vapid_public_key=vapid.generate().public_key)
    without_keys = new_gateway()
    without_keys.sign_with([])
    for door in (new_gateway(), without_keys):
        [result] = send(door, push)
        assert type(result.error) is responses.KeyMismatch
        assert result.status is None
    assert service.requests == []


def test_a_key_retired_while_its_push_is_in_flight_stops_nothing(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    device.answers([403])
    service.latency = 0.2
    door = new_gateway()
    results: SimpleQueue[gateway.Result[int]] = SimpleQueue()
    door.send([(0, push_to(device))], results)
    servers.wait_until(lambda: len(service.requests) == 1)
    door.sign_with([])
    assert type(results.get(timeout=20).error) is responses.Misconfigured
    assert door.is_running


def test_a_token_outlives_a_change_of_the_other_keys(service: PushService) -> None:
    door, device = new_gateway(), service.new_device(KEYS.public_key)
    send(door, push_to(device))
    door.sign_with([vapid.generate(), KEYS])
    send(door, push_to(device))
    assert len({request.headers["Authorization"] for request in service.requests}) == 1


def test_every_push_of_a_mixed_batch_gets_exactly_its_own_result(service: PushService) -> None:
    wanted = [201, 410, 503, 429, 413, 400] * 5
    devices = [service.new_device(KEYS.public_key) for _ in wanted]
    for device, status in zip(devices, wanted, strict=True):
        device.answers(status)
    assert [result.status for result in send(new_gateway(), *map(push_to, devices))] == wanted


def test_a_service_that_hangs_does_not_hold_up_another(service: PushService, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, 60)
    monkeypatch.setattr(concurrency, "_SILENCE", 0.2)
    results: SimpleQueue[Result[int]] = SimpleQueue()
    with PushService() as hanging:
        hanging.answers(HANG)
        stuck = [push_to(hanging.new_device(KEYS.public_key)) for _ in range(10)]
        new_gateway(concurrency=2).send(enumerate([*stuck, push_to(service.new_device(KEYS.public_key))]), results)
        early = [results.get(timeout=60) for _ in range(9)]
    assert [result.status for result in early if result.key == 10] == [201]
    assert [type(result.error).__name__ for result in early if result.key != 10] == ["Postponed"] * 8
    assert [type(results.get(timeout=60).error).__name__ for _ in range(2)] == ["Unavailable"] * 2


def test_an_unforeseen_fault_is_a_result_too_and_is_logged_without_its_text(
    service: PushService, caplog: pytest.LogCaptureFixture
) -> None:
    [result] = send(new_gateway(), push_to(service.new_device(KEYS.public_key), payload=""))
    assert result.error == responses.Unavailable(None, "NoData")
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "a push failed unexpectedly: NoData"


def test_after_a_refusal_of_our_key_the_others_are_not_even_sent(service: PushService) -> None:
    service.answers(403)
    service.latency = 0.1
    results = send(new_gateway(concurrency=3), *(push_to(service.new_device(KEYS.public_key)) for _ in range(20)))
    kinds = Counter(type(result.error) for result in results)
    assert kinds == {responses.Misconfigured: len(service.requests), responses.Postponed: 20 - len(service.requests)}
    assert len(service.requests) <= 5
