"""network_address.py: store only a keyed hash of a network address."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.network_address import keyed_hash, networks_of_request, of_request
from tests.visits import Visit


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002:0:0:0:9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::2%another zone"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("203.0.113.7:1", "203.0.113.7:2"),
        ("[2001:db8::1]:443", "2001:db8::2"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
        (" 192.0.2.1", "192.0.2.1"),
        (None, ""),
        ("made up", "something else"),
        ("unknown", "192.0.2.1.5"),
        ("192.0.2.1" + "0" * 100_000, ""),
    ],
)
def test_addresses_of_one_connection_count_as_one(one: str | None, other: str) -> None:
    assert keyed_hash(one) == keyed_hash(other)


@pytest.mark.usefixtures("app")
def test_addresses_of_two_connections_do_not() -> None:
    addresses = ["192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:3::1", "::1", "127.0.0.1", "?"]
    assert len({keyed_hash(address) for address in addresses}) == len(addresses)


def test_an_address_cannot_be_found_by_trying_all_of_them_without_the_secret_key(visit: Visit) -> None:
    one, other = visit().application, visit(secret_key="another secret for tests").application
    with one.app_context():
        first = keyed_hash("192.0.2.1")
    with other.app_context():
        assert keyed_hash("192.0.2.1") != first


def test_a_request_is_counted_by_where_it_came_from(app: Flask) -> None:
    with app.test_request_context(environ_overrides={"REMOTE_ADDR": "192.0.2.7"}):
        assert of_request() == keyed_hash("192.0.2.7")


def test_a_request_is_also_counted_by_the_wider_networks_it_may_have_all_of(app: Flask) -> None:
    def networks(address: str) -> list[tuple[str, int]]:
        with app.test_request_context(environ_overrides={"REMOTE_ADDR": address}):
            return list(networks_of_request())

    here = networks("2001:db8:1:a101::1")
    assert [share for _, share in here] == [1, 2, 4]
    assert here[0][0] == keyed_hash("2001:db8:1:a101::1")
    common = [
        len(set(here) & set(networks(other))) for other in ("2001:db8:1:a102::", "2001:db8:1:b101::", "2001:db8:2::")
    ]
    assert common == [2, 1, 0]
    assert len(set(networks("192.0.2.1")) & set(networks("192.0.2.200"))) == 1
    assert not set(networks("192.0.2.1")) & set(networks("192.0.3.1"))
    assert len(networks("made up")) == 1


def test_whatever_stands_for_an_address_gets_a_hash_that_says_nothing_of_it(app: Flask) -> None:
    @given(st.one_of(st.ip_addresses().map(str), st.text(st.characters(codec="utf-8"))))
    def holds(address: str) -> None:
        digest = keyed_hash(address)
        assert len(digest) == 32
        assert int(digest, 16) >= 0
        assert keyed_hash(address) == digest

    holds()


def test_an_ipv6_network_is_never_taken_for_an_ipv4_address(app: Flask) -> None:
    @given(st.ip_addresses(v=6), st.ip_addresses(v=4))
    def holds(six: IPv6Address, four: IPv4Address) -> None:
        assert (keyed_hash(str(six)) == keyed_hash(str(four))) is (six.ipv4_mapped == four)

    holds()
