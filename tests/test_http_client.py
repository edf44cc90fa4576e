"""Documents of other web servers: only public addresses, a few redirects, little time and few bytes."""

import gzip
import socket
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pycurl
import pytest

from feedback_push import create_app, http_client
from feedback_push.config import Settings
from feedback_push.http_client import LARGEST_BODY, LARGEST_REPLY, Failure, Reason
from feedback_push.webpush.endpoints import EndpointPolicy
from tests import servers
from tests.doubles.certificates import LoopbackAuthority
from tests.doubles.connect_proxy import ConnectProxy
from tests.doubles.push_service import PushService
from tests.doubles.web_site import Page, WebSite
from tests.doubles.webhook_receiver import Reply, WebhookReceiver


@pytest.fixture
def site() -> Iterator[WebSite]:
    with WebSite() as running:
        yield running


def failure(url: str) -> Reason:
    with pytest.raises(Failure) as refused:
        http_client.get(url)
    assert url not in str(refused.value)
    return refused.value.reason


def redirect(target: str, status: int = 302) -> Page:
    return Page(status=status, headers={"Location": target})


@pytest.mark.usefixtures("app")
def test_an_answer_has_its_status_headers_and_unpacked_body_and_knows_who_asked(site: WebSite) -> None:
    for coding, packed in {"gzip": gzip.compress(b"hello"), "deflate": zlib.compress(b"hello")}.items():
        site.pages["/feed"] = Page(packed, headers={"Content-Encoding": coding, "Retry-After": "7"})
        answer = http_client.get(f"{site.url}/feed?a=b", ("If-None-Match: x",))
        assert (answer.status, answer.body, answer.headers["retry-after"]) == (200, b"hello", "7")
        assert (answer.url, answer.moved_to) == (f"{site.url}/feed?a=b", "")
    path, headers = site.requests[-1]
    assert (path, headers["If-None-Match"]) == ("/feed?a=b", "x")
    assert headers["User-Agent"] == "feedback-push (+http://127.0.0.1:8000)"
    assert not {"Cookie", "Referer", "Authorization"} & headers.keys()
    assert http_client.get(f"{site.url}/nothing").status == 404


@pytest.mark.usefixtures("app")
def test_five_redirects_are_followed_and_only_permanent_ones_move_the_address(site: WebSite) -> None:
    site.pages |= {f"/{n}": redirect(f"/{n + 1}", {0: 301, 1: 301, 4: 308}.get(n, 307)) for n in range(6)} | {
        "/6": Page(b"there")
    }
    answer = http_client.get(f"{site.url}/1")
    assert (answer.body, answer.url, answer.moved_to) == (b"there", f"{site.url}/6", f"{site.url}/2")
    assert failure(f"{site.url}/0") == Reason.REDIRECTS
    site.pages["/old"] = redirect(f"{site.url}/6", 308)
    assert http_client.get(f"{site.url}/old").moved_to == f"{site.url}/6"


@pytest.mark.usefixtures("app")
def test_no_redirect_leads_to_another_scheme_or_out_of_encryption(
    site: WebSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for target in (f"file://{secret}", f"ftp://127.0.0.1:{site.port}/", f"gopher://127.0.0.1:{site.port}/", "data:,x"):
        site.pages["/feed"] = redirect(target)
        assert failure(f"{site.url}/feed") == Reason.ADDRESS
    site.pages |= {"/feed": redirect(f"http://ada:word@127.0.0.1:{site.port}/there"), "/there": Page(b"there")}
    assert http_client.get(f"{site.url}/feed").body == b"there"
    assert "Authorization" not in site.requests[-1][1]
    authority = LoopbackAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with WebSite(authority.server_context("localhost")) as encrypted:
        encrypted.pages |= {"/there": Page(b"there"), "/a": redirect("/there"), "/b": redirect(f"{site.url}/there")}
        assert http_client.get(f"{encrypted.url}/a").body == b"there"
        assert failure(f"{encrypted.url}/b") == Reason.UNENCRYPTED


@pytest.mark.usefixtures("public_only")
def test_no_private_address_is_connected_to_also_after_a_redirect(
    site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in (
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "a.localhost",
    ):
        assert failure(f"http://{host}:{site.port}/feed") == Reason.NOT_PUBLIC, host
    resolved = [f"blog.example:{site.port}:127.0.0.1"]
    monkeypatch.setitem(http_client._OPTIONS, pycurl.RESOLVE, resolved)  # noqa: SLF001 - stands for the DNS
    assert failure(f"http://blog.example:{site.port}/feed") == Reason.NOT_PUBLIC
    assert site.requests == []
    real = EndpointPolicy.open_socket

    def only_the_first(policy: EndpointPolicy, family: int, kind: int, number: int, host: str) -> socket.socket:
        return socket.socket(family, kind, number) if not site.requests else real(policy, family, kind, number, host)

    monkeypatch.setattr(EndpointPolicy, "open_socket", only_the_first)
    site.pages["/feed"] = redirect("/private")
    assert failure(f"http://blog.example:{site.port}/feed") == Reason.NOT_PUBLIC
    assert [path for path, _ in site.requests] == ["/feed"]


@pytest.mark.usefixtures("app")
def test_addresses_that_no_feed_has_are_refused_before_a_request() -> None:
    for url in (
        *("", "x", "//example.org/", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///x"),
        *("https://a@example.org/", "https://example.org\\@x/", "https://example.org/a b", "https://ex ample.org/"),
        *("https://example.org:22/", "http://example.org:443/", "https://example.org:99999/", "https://[::1"),
        f"https://example.org/{'a' * 2000}",
    ):
        assert failure(url or "-") == Reason.ADDRESS, url
    for url in ("https://example.org", "http://example.org:80/x", "https://example.org:8443/", "https://[2606::1]/"):
        http_client.check(url)


@pytest.mark.usefixtures("app")
def test_a_body_has_an_end_as_it_is_sent_and_as_it_is_unpacked(site: WebSite) -> None:
    site.pages["/most"] = Page(b"x" * LARGEST_BODY)
    assert len(http_client.get(f"{site.url}/most").body) == LARGEST_BODY
    bomb = gzip.compress(b"x" * 50 * LARGEST_BODY)
    assert len(bomb) < LARGEST_BODY
    twice = gzip.compress(bomb)
    site.pages |= {
        "/more": Page(b"x" * (LARGEST_BODY + 1)),
        "/endless": Page(b"x" * 10_000, endless=True),
        "/bomb": Page(bomb, headers={"Content-Encoding": "gzip"}),
        "/twice": Page(twice, headers={"Content-Encoding": "gzip, gzip"}),
    }
    for path in ("/more", "/endless", "/bomb", "/twice"):
        assert failure(f"{site.url}{path}") == Reason.TOO_LARGE, path


@pytest.mark.usefixtures("app")
def test_all_requests_together_have_an_end(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "TIMEOUT", 0.5)
    site.pages |= {"/silent": Page(silent=True), "/to": redirect("/silent")}
    for path in ("/silent", "/to"):
        assert failure(f"{site.url}{path}") == Reason.TIMEOUT


@pytest.mark.usefixtures("app")
def test_each_way_to_get_no_answer_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failure(f"http://127.0.0.1:{servers.free_port()}/") == Reason.CONNECTION
    assert failure("http://feed.invalid/") == Reason.UNKNOWN_HOST
    authority = LoopbackAuthority(tmp_path)
    with PushService(ssl_context=authority.server_context("localhost"), hostname="localhost") as encrypted:
        assert failure(f"{encrypted.url}/") == Reason.CERTIFICATE
        assert failure(encrypted.url.replace("https", "http")) == Reason.ANSWER


def test_a_proxy_resolves_the_name_and_its_failure_is_named(settings: Settings, site: WebSite) -> None:
    site.pages["/feed"] = Page(b"there")
    with ConnectProxy(target=("127.0.0.1", site.port)) as proxy:
        with create_app(replace(settings, push_proxy=proxy.url, push_allow_private_addresses=False)).app_context():
            assert http_client.get("http://blog.example/feed").body == b"there"
            assert failure("http://10.0.0.1/feed") == Reason.NOT_PUBLIC
            proxy.refusal = "HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n"
            assert failure("http://blog.example/feed") == Reason.PROXY
        assert [head.split(" ")[:2] for head in proxy.heads] == [["CONNECT", "blog.example:80"]] * 2


@pytest.mark.usefixtures("app")
def test_a_post_follows_no_redirect_and_keeps_only_the_beginning_of_the_answer() -> None:
    with WebhookReceiver() as receiver:
        receiver.answer("/hook", Reply(204, b""), Reply(302, b"", {"Location": "/there"}), Reply(200, b"a" * 10_000))
        for status, length in ((204, 0), (302, 0), (200, LARGEST_REPLY)):
            answer = http_client.post(f"{receiver.url}/hook", ("Content-Type: application/json",), b"{}" * 1000)
            assert (answer.status, len(answer.body)) == (status, length)
        receiver.answer("/endless", Reply(200, b"b" * 1000, endless=True))
        assert http_client.post(f"{receiver.url}/endless", (), b"{}").body == b"b" * LARGEST_REPLY
    assert {request.path for request in receiver.requests} == {"/hook", "/endless"}
    assert receiver.requests[0].body == b"{}" * 1000
    assert "expect" not in receiver.requests[0].headers


@pytest.mark.usefixtures("public_only")
def test_only_a_listed_host_of_a_post_may_be_private_or_speak_http() -> None:
    with WebhookReceiver() as receiver:
        for url, reason in (
            (f"{receiver.url}/", Reason.NOT_PUBLIC),
            (receiver.url.replace("http:", "https:"), Reason.NOT_PUBLIC),
            ("http://example.org/", Reason.UNENCRYPTED),
            ("https://a@example.org/", Reason.ADDRESS),
        ):
            with pytest.raises(Failure) as refused:
                http_client.post(url, (), b"{}", ("192.0.2.1", "*.127.0.0.1"))
            assert refused.value.reason == reason, url
        assert receiver.requests == []
        assert http_client.post(f"{receiver.url}/", (), b"{}", ("127.0.0.1",)).status == 200
