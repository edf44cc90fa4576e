"""PUSH_PROXY: push through an http proxy, and never mistake its answers for a push service's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from feedback_push import url_validators
from feedback_push.admin import labels
from feedback_push.push import sender
from feedback_push.push.models import DeliveryState
from feedback_push.webpush import responses
from tests import servers
from tests.conftest import KEYS
from tests.doubles.certificates import LoopbackAuthority
from tests.doubles.connect_proxy import ConnectProxy
from tests.doubles.push_answers import RESET
from tests.doubles.push_service import PushService
from tests.push.devices import delivery_to, new_device, owner
from tests.push.notes import announce, time_passes
from tests.push.outcomes import assert_final, assert_unchanged, banner
from tests.webpush.sending import impatient, new_gateway, push_to, send

_UNRESERVED = "!$&'()*+,;=.~^`{|}_-"  # which the rule for PUSH_PROXY lets stand as they are
NAME = "push.example.org"  # only the proxy resolves it
REFUSAL = "HTTP/1.1 {} x\r\nRetry-After: 7777\r\nContent-Length: 4\r\n\r\ngone"


@pytest.fixture
def tls_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushService]:
    """A push service that proves to be NAME."""
    authority = LoopbackAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with PushService(ssl_context=authority.server_context(NAME), hostname="localhost") as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy() as running:
        yield running


def test_a_push_goes_through_the_proxy_that_resolves_and_connects(
    tls_service: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    target = ("127.0.0.1", int(tls_service.url.rpartition(":")[2]))
    tls_service.url = f"https://{NAME}"
    with ConnectProxy(credentials=f"ada:p@ss/word{_UNRESERVED}", target=target) as proxy:
        device = tls_service.new_device(KEYS.public_key)
        address = url_validators.push_proxy(proxy.url.replace("//", f"//ada:p%40ss%2Fword{_UNRESERVED}@"))
        door = new_gateway(proxy=address, hosts=(NAME,), private=False)
        for _ in range(2):
            [result] = send(door, push_to(device))
            assert (result.status, result.error) == (201, None)
    [head] = proxy.heads  # the tunnel is used again
    lines = head.split("\r\n")
    assert lines[0] == f"CONNECT {NAME}:443 HTTP/1.1"
    assert {line.partition(":")[0] for line in lines[1:] if line} <= {
        "Host",
        "Proxy-Authorization",
        "User-Agent",
        "Proxy-Connection",
    }
    assert not [request for request in tls_service.requests if "Proxy-Authorization" in request.headers]


def test_plain_http_is_tunnelled_too_and_the_allow_list_still_decides(
    service: PushService, proxy: ConnectProxy
) -> None:
    device = service.new_device(KEYS.public_key)
    door = new_gateway(proxy=proxy.url)
    forbidden = push_to(device, endpoint=device.endpoint.replace("127.0.0.1", "127.0.0.2"))
    refused, accepted = send(door, forbidden, push_to(device))
    assert type(refused.error) is responses.Rejected
    assert accepted.status == 201
    assert [head.split(" ")[:2] for head in proxy.heads] == [["CONNECT", service.url.removeprefix("http://")]]


def test_a_proxys_answer_is_not_the_push_services(
    service: PushService, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = service.new_device(KEYS.public_key)
    door = new_gateway(proxy=proxy.url)
    for status in (301, 400, 401, 403, 404, 410, 413, 429, 500, 502, 503, 504):
        proxy.refusal = REFUSAL.format(status)
        [result] = send(door, push_to(device))
        assert result.error == responses.ProxyFailed(None, f"the proxy does not connect to it ({status})")
    for nonsense in ("", "nonsense\r\n\r\n"):
        proxy.refusal = nonsense
        [result] = send(door, push_to(device))
        assert result.error == responses.ProxyFailed(None, "the proxy ends the connection")
    proxy.refusal = None
    impatient(monkeypatch)
    proxy.silent = True
    [result] = send(new_gateway(proxy=proxy.url), push_to(device))
    assert result.error == responses.ProxyFailed(None, "the proxy does not answer in time")
    assert service.requests == []


def test_a_proxy_that_wants_a_password_is_down_or_unknown_is_reported(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    with ConnectProxy(credentials="ada:right") as proxy:
        for address in (proxy.url, proxy.url.replace("//", "//ada:wrong@")):
            [result] = send(new_gateway(proxy=address), push_to(device))
            assert result.error == responses.ProxyFailed(None, "the proxy refuses the user name or password (407)")
    [result] = send(new_gateway(proxy=f"http://127.0.0.1:{servers.free_port()}"), push_to(device))
    assert result.error == responses.ProxyFailed(None, "cannot connect to the proxy: Connection refused")
    name = ".".join(["a" * 60] * 5)  # longer than any name may be, so that no resolver is asked
    [result] = send(new_gateway(proxy=f"http://{name}:3128"), push_to(device))
    assert result.error == responses.ProxyFailed(None, "the name of the proxy cannot be resolved")
    assert service.requests == []


def test_what_the_push_service_does_behind_the_proxy_is_its_own(
    tls_service: PushService, proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = tls_service.new_device(KEYS.public_key)
    told = []
    for answer in (410, 503, RESET):
        device.answers([answer])
        [result] = send(new_gateway(proxy=proxy.url), push_to(device))
        told.append((type(result.error), result.status))
    assert told == [(responses.Gone, 410), (responses.Unavailable, 503), (responses.Unavailable, None)]
    impatient(monkeypatch)
    door = new_gateway(proxy=proxy.url)
    send(door, push_to(device))
    tls_service.latency = 2
    for one in (door, new_gateway(proxy=proxy.url)):  # through a tunnel that stood, and through a new one
        [result] = send(one, push_to(device))
        assert result.error == responses.Unavailable(None, "no answer in time")
    tls_service.latency = 0
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(LoopbackAuthority(tmp_path / "other").ca_file))
    [result] = send(new_gateway(proxy=proxy.url), push_to(device))
    assert result.error == responses.Unavailable(None, "its certificate is not valid for it")
    tls_service.stop()
    [result] = send(new_gateway(proxy=proxy.url), push_to(device))
    assert result.error == responses.ProxyFailed(None, "the proxy does not connect to it (502)")


def test_no_device_is_blamed_for_the_proxy_and_the_dashboard_names_it(
    app: Flask, service: PushService, proxy: ConnectProxy
) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], push_proxy=proxy.url)
    device = new_device(owner(), service)
    announce()
    for status in (404, 410, 403, 502):
        proxy.refusal = REFUSAL.format(status)
        assert not sender.run()
        assert_unchanged(device)
        waiting = delivery_to(device)
        assert (waiting.state, waiting.error, waiting.status) == (DeliveryState.WAITING, "proxy", None)
        words_of_proxy = f"the proxy does not connect to it ({status})"
        assert labels.reason(waiting) == f"The proxy did not connect to the push service. ({words_of_proxy})"
        assert words_of_proxy in banner()
        time_passes(600)
    assert len(proxy.heads) == 4
    proxy.refusal = None
    assert not sender.run()
    assert_final(device, DeliveryState.ACCEPTED, None)
    assert len(device.pushes) == 1
    assert banner() == ""
