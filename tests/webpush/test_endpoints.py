"""Endpoints: only known push services, only public addresses, and no spelling that hides another."""

import re
import socket
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.webpush import endpoints, transport
from feedback_push.webpush.endpoints import EndpointPolicy, EndpointRefused
from feedback_push.webpush.gateway import Push
from feedback_push.webpush.responses import Rejected
from feedback_push.webpush.transport import Cancelled, NoAnswer, Response, Transport
from tests.conftest import KEYS
from tests.webpush.sending import impatient, new_gateway, send

REAL = [
    "https://fcm.googleapis.com/fcm/send/dGVzdA:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
    "https://fcm.googleapis.com/wp/dGVzdA:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx",
    "https://jmt17.google.com/fcm/send/dGVzdA:APA91b",
    "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABl",
    "https://autopush.push.services.mozilla.com/wpush/v2/gAAAAABl?a=b",
    "https://web.push.apple.com/QGuQyavXutnMH",
    "https://api.sandbox.push.apple.com/QGuQyavXutnMH",
    "https://wns2-par02p.notify.windows.com/w/?token=BQYAAADSpkQ%2fz5q%2b",
    "https://fcm.googleapis.com:443/fcm/send/abc",
    "HTTPS://FCM.GOOGLEAPIS.COM/fcm/send/abc",
    "https://fcm.googleapis.com/" + "a" * (2048 - 27),
]

_TCP = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)

HOSTILE = [
    # not https, or not an address at all
    "http://fcm.googleapis.com/x",
    "ftp://fcm.googleapis.com/x",
    "file:///etc/passwd",
    "javascript:alert(1)//fcm.googleapis.com/",
    "data:text/html,fcm.googleapis.com",
    "fcm.googleapis.com/x",
    "//fcm.googleapis.com/x",
    "https:/fcm.googleapis.com/x",
    "https:fcm.googleapis.com/x",
    "https:///fcm.googleapis.com/x",
    "https://",
    "",
    # a known name in the wrong place
    "https://127.0.0.1:9200/x.google.com/",
    "https://evil.example/fcm.googleapis.com",
    "https://evil.example/?fcm.googleapis.com",
    "https://evil.example/#fcm.googleapis.com",
    "https://evil.example?.push.apple.com/",
    "https://evil.example#.push.apple.com/",
    "https://fcm.googleapis.com.evil.example/x",
    "https://evilfcm.googleapis.com/x",
    "https://xfcm.googleapis.com/x",
    "https://www.fcm.googleapis.com/x",
    "https://googleapis.com/x",
    "https://evilpush.apple.com/x",
    "https://push.apple.com/x",
    "https://.push.apple.com/x",
    "https://notify.windows.com.evil.example/x",
    # user information
    "https://fcm.googleapis.com@evil.example/x",
    "https://fcm.googleapis.com:443@evil.example/x",
    "https://user@fcm.googleapis.com/x",
    "https://user:password@fcm.googleapis.com/x",
    "https://@fcm.googleapis.com/x",
    "https://evil.example%40fcm.googleapis.com/x",
    # ports
    "https://fcm.googleapis.com:80/x",
    "https://fcm.googleapis.com:8443/x",
    "https://fcm.googleapis.com:0/x",
    "https://fcm.googleapis.com:/x",
    "https://fcm.googleapis.com:0443/x",
    "https://fcm.googleapis.com:65979/x",
    "https://fcm.googleapis.com:-1/x",
    "https://fcm.googleapis.com:+443/x",
    "https://fcm.googleapis.com:4_4_3/x",
    "https://fcm.googleapis.com:443:443/x",
    "https://fcm.googleapis.com:443.evil.example/x",
    # addresses in every notation
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://017700000001/x",
    "https://0/x",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::1]/x",
    "https://[::]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[::ffff:7f00:1]/x",
    "https://[fe80::1%25eth0]/x",
    "https://[::1].push.apple.com/x",
    "https://[v1.push.apple.com]/x",
    "https://[v1.push.apple.com]evil.example/x",
    "https://evil.example[v1.push.apple.com]/x",
    "https://[::1/x",
    # names that parsers or resolvers may read differently
    "https://localhost/x",
    "https://fcm.googleapis.com./x",
    "https://web.push.apple.com../x",
    "https://..push.apple.com/x",
    "https://a..push.apple.com/x",
    "https://evil.example%23.push.apple.com/x",
    "https://evil.example%2f.push.apple.com/x",
    "https://evil.example%5c.push.apple.com/x",
    "https://127.0.0.1%00.push.apple.com/x",
    "https://evil.example;.push.apple.com/x",
    "https://evil.example,.push.apple.com/x",
    "https://evil.example|.push.apple.com/x",
    "https://evil.example^.push.apple.com/x",
    "https://evil.example`.push.apple.com/x",
    'https://evil.example".push.apple.com/x',
    "https://<evil.example>.push.apple.com/x",
    "https://*.push.apple.com/x",
    "https://$.push.apple.com/x",
    "https://" + "a" * 64 + ".push.apple.com/x",
    # backslashes, white space, control characters
    "https://evil.example\\.push.apple.com/x",
    "https://fcm.googleapis.com\\@evil.example/x",
    "https:\\\\fcm.googleapis.com\\x",
    "https://fcm.googleapis.com/x\\y",
    " https://fcm.googleapis.com/x",
    "https://fcm.googleapis.com/x ",
    "https://fcm.googleapis.com/x y",
    "https://fcm.googleapis.com /x",
    "https://fcm.google\tapis.com/x",
    "https://fcm.googleapis.com/x\r\nHost: evil.example",
    "https://fcm.googleapis.com/x\n",
    "\nhttps://fcm.googleapis.com/x",
    "https://fcm.googleapis.com/\x00",
    "https://fcm.googleapis.com/\x7f",
    # other alphabets
    "https://fcm.googleapis.cоm/x",  # noqa: RUF001 - a Cyrillic letter
    "https://ｆｃｍ.googleapis.com/x",  # noqa: RUF001 - full width
    "https://fcm。googleapis。com/x",
    "https://xn--fcm-googleapis-com-evil/x",
    "https://xn--fcm-9ya.googleapis.com/x",
    "https://fcm.googleapis.com/é",
    "https://fcm.googleapis.com/\ud800",
    "https://fcm.googleapis.com:٤٤٣/x",
    # longer than is stored
    "https://fcm.googleapis.com/" + "a" * (2049 - 27),
]


@pytest.mark.parametrize("endpoint", REAL)
def test_the_known_push_services_are_accepted(endpoint: str) -> None:
    EndpointPolicy().check(endpoint)


@pytest.mark.parametrize("endpoint", HOSTILE)
def test_a_hostile_endpoint_is_refused_with_a_reason_that_does_not_repeat_it(endpoint: str) -> None:
    with pytest.raises(EndpointRefused) as refusal:
        EndpointPolicy().check(endpoint)
    assert not {"evil", "127", "googleapis", "apple"} & set(re.findall(r"\w+", str(refusal.value)))


def test_the_gateway_opens_no_connection_for_any_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = EndpointPolicy.open_socket

    def noted(self: EndpointPolicy, family: int, kind: int, protocol: int, host: str) -> socket.socket:
        opened.append(host)
        return real(self, family, kind, protocol, host)

    impatient(monkeypatch)
    monkeypatch.setattr(EndpointPolicy, "open_socket", noted)
    door = new_gateway(hosts=(), private=False)
    pushes = [
        Push(endpoint, KEYS.public_key, "A" * 22, KEYS.public_key, "{}", 60, "high", None) for endpoint in HOSTILE
    ]
    results = send(door, *pushes)
    assert len(results) >= 60
    assert {type(result.error) for result in results} == {Rejected}
    assert opened == []
    with socket.create_server(("127.0.0.1", 0)) as listener:  # and it is noted where one is opened
        allowed = new_gateway(hosts=("127.0.0.1",))
        send(allowed, pushes[0]._replace(endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}/x"))
    assert opened == ["127.0.0.1"]


@given(st.text(alphabet="htps:/.@[]%#?\\ aA0-_~x\t", max_size=60))
def test_no_spelling_around_a_known_name_leads_elsewhere(junk: str) -> None:
    for endpoint in (f"https://{junk}.push.apple.com/", f"https://web.push.apple.com{junk}", f"{junk}push.apple.com"):
        try:
            EndpointPolicy().check(endpoint)
        except EndpointRefused:
            continue
        assert endpoints.origin(endpoint).endswith("push.apple.com")


@given(st.text())
def test_no_arbitrary_text_is_accepted(text: str) -> None:
    with pytest.raises(EndpointRefused):
        EndpointPolicy(private_allowed=True).check(text)


@pytest.mark.parametrize(
    "endpoint", ["https://up.example.org/x", "https://a.up.example.net/x", "https://a.b.up.example.net/x"]
)
def test_an_added_host_or_pattern_is_accepted(endpoint: str) -> None:
    EndpointPolicy(hosts=("up.example.org", "*.up.example.net")).check(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["https://a.up.example.org/x", "https://up.example.net/x", "https://aup.example.net/x"]
)
def test_a_pattern_holds_on_a_dot_boundary_only(endpoint: str) -> None:
    with pytest.raises(EndpointRefused):
        EndpointPolicy(hosts=("up.example.org", "*.up.example.net")).check(endpoint)


@pytest.mark.parametrize("endpoint", ["http://up.example.org/x", "https://up.example.org:8443/x"])
def test_plain_http_and_other_ports_need_private_addresses_to_be_allowed(endpoint: str) -> None:
    EndpointPolicy(hosts=("up.example.org",), private_allowed=True).check(endpoint)
    with pytest.raises(EndpointRefused):
        EndpointPolicy(hosts=("up.example.org",)).check(endpoint)


@pytest.mark.parametrize("endpoint", ["http://10.0.0.1/x", "ftp://127.0.0.1/x", "http://u@127.0.0.1/x", "http://a b/"])
def test_allowing_private_addresses_allows_nothing_else(endpoint: str) -> None:
    with pytest.raises(EndpointRefused):
        EndpointPolicy(hosts=("127.0.0.1",), private_allowed=True).check(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc?d#e", "https://fcm.googleapis.com"),
        ("HTTPS://FCM.googleapis.com/fcm", "https://fcm.googleapis.com"),
        ("https://fcm.googleapis.com:443/x", "https://fcm.googleapis.com"),
        ("https://up.example.org:8443/x", "https://up.example.org:8443"),
        ("http://up.example.org:80/x", "http://up.example.org"),
        ("http://up.example.org:443/x", "http://up.example.org:443"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
        ("https://[2001:DB8::1]:444/x", "https://[2001:db8::1]:444"),
        ("https://[::443]/x", "https://[::443]"),
    ],
)
def test_an_origin_has_one_spelling(endpoint: str, origin: str) -> None:
    assert endpoints.origin(endpoint) == origin
    assert endpoints.service(endpoint) == endpoints.service(f"{origin}/another/device")


def test_every_known_service_has_a_number_of_its_own_that_fits_a_column() -> None:
    numbers = {endpoints.service(f"https://{host.replace('*', 'some')}/x") for host in endpoints.KNOWN_HOSTS}
    assert len(numbers) == len(endpoints.KNOWN_HOSTS)
    assert all(0 < number < 2**31 for number in numbers)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
)
def test_a_socket_to_a_public_address_is_made(address: str) -> None:
    with EndpointPolicy().open_socket(*_TCP, address) as made:
        assert made.type == socket.SOCK_STREAM


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),  # noqa: S104
        *("100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1"),
        *("fd00:ec2::254", "ff02::1", "2001:db8::1", "2002:7f00:1::", "2001:0:1::f5ff:fffe"),
        *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "5f00::1"),
    ],
)
def test_no_socket_is_made_to_an_address_that_is_not_public(address: str) -> None:
    with pytest.raises(OSError, match="is not a public address"):
        EndpointPolicy().open_socket(*_TCP, address)
    EndpointPolicy(private_allowed=True).open_socket(*_TCP, address).close()


def test_an_allowed_name_that_leads_to_this_machine_is_refused_before_a_connection_opens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        assert "is not a public address" in _post(listener, EndpointPolicy(hosts=("localhost",)))
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_same_name_is_connected_to_where_private_addresses_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert _post(listener, EndpointPolicy(hosts=("localhost",), private_allowed=True)) == "no answer in time"
        listener.accept()[0].close()


def _post(listener: socket.socket, policy: EndpointPolicy) -> str:
    """Return the reason for the missing answer."""
    outcomes: list[Response | NoAnswer | Cancelled] = []
    with closing(Transport(policy.open_socket)) as client:
        client.post(f"http://localhost:{listener.getsockname()[1]}/", (), b"", outcomes.append)
        while not outcomes:
            client.step(5)
    [outcome] = outcomes
    assert isinstance(outcome, NoAnswer)
    return outcome.reason


def test_an_unknown_push_service_is_refused_without_naming_a_setting() -> None:
    with pytest.raises(endpoints.UnknownService) as refused:
        endpoints.EndpointPolicy().check("https://push.example.org/x")
    assert str(refused.value) == "The endpoint is not on a push service that this site knows."
