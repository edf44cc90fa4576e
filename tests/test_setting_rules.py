"""setting_rules.py: which keys, addresses, hosts and time zones are taken; and no rule fails at any value."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from environs import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from feedback_push import notification_rules, vapid_rules
from feedback_push import setting_rules as rules
from tests.refusals import is_refused


@pytest.mark.parametrize("value", ["", "fifteen letters"])
def test_a_secret_key_has_at_least_16_characters(value: str) -> None:
    is_refused(rules.secret_key, value)
    assert rules.secret_key("sixteen letters!") == "sixteen letters!"


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("https://feedback.example.org", "https://feedback.example.org"),
        ("https://feedback.example.org/", "https://feedback.example.org"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_a_site_address_loses_its_closing_slash(value: str, usable: str) -> None:
    assert rules.site_url(value) == usable


@pytest.mark.parametrize(
    "value",
    [
        "",
        "feedback.example.org",
        "ftp://feedback.example.org",
        "javascript:alert(1)",
        "https://",
        "https:///admin/",
        "https://feedback.example.org/below",
        "https://feedback.example.org//",
        "https://feedback.example.org/?page=1",
        "https://feedback.example.org/#top",
        "https://ada@feedback.example.org",
        "https://ada:secret@feedback.example.org",
        "https://feedback.example.org:0",
        "https://feedback.example.org:99999",
        "https://feedback.example.org:port",
        "https://[::1",
    ],
)
def test_a_site_address_is_http_or_https_and_only_a_host(value: str) -> None:
    is_refused(rules.site_url, value)


@pytest.mark.parametrize(
    "value",
    [
        "https://:secret@feedback.example.org",
        "https://@feedback.example.org",
        "https://feedback.example.org?",
        "https://feedback.example.org/#",
        "https://feedback.example.org\n",
        "https://feedback example.org",
    ],
)
def test_a_site_address_holds_nothing_that_would_break_the_links_made_from_it(value: str) -> None:
    is_refused(rules.site_url, value)


@pytest.mark.parametrize("value", ["/admin/", "/a/", "/some/where.else/", "/~ada/in-box_2/", "/feedbacks/", "/pushed/"])
def test_an_admin_path_may_be_anything_that_no_other_page_has(value: str) -> None:
    assert rules.admin_url(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "/", "//", "admin", "/admin", "admin/", "/ad min/", "/admin//", "/../", "/a/./b/", "/a/../b/", "/<int:x>/",
     "/a\n/", "/admin/\n", "/admin/?x=/", "/ümlaut/", "//evil.example/", "https://evil.example/"],
)  # fmt: skip
def test_an_admin_path_starts_and_ends_with_a_slash_and_is_plain(value: str) -> None:
    is_refused(rules.admin_url, value)


@pytest.mark.parametrize(
    "value",
    [
        "/feedback/",
        "/feedback/admin/",
        "/push/",
        "/push/admin/",
        "/static/",
        "/login/",
        "/logout/",
        "/healthz/",
        "/readyz/",
        "/logo/",
        "/theme.css/",
    ],
)
def test_an_admin_path_takes_no_other_pages_place(value: str) -> None:
    assert "taken" in is_refused(rules.admin_url, value)


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("postgres://ada:secret@host/name", "postgresql+psycopg://ada:secret@host/name"),
        ("postgresql://ada:secret@host/name", "postgresql+psycopg://ada:secret@host/name"),
        ("postgresql+psycopg://ada:secret@host/name", "postgresql+psycopg://ada:secret@host/name"),
        ("postgresql://host/name?options=a://b", "postgresql+psycopg://host/name?options=a://b"),
        ("sqlite:////var/lib/feedback.sqlite", "sqlite:////var/lib/feedback.sqlite"),
    ],
)
def test_every_spelling_of_postgresql_reaches_the_same_driver(value: str, usable: str) -> None:
    assert rules.database_url(value) == usable


@pytest.mark.parametrize(
    "value", ["", "mysql://ada:secret@host/name", "postgresql", "postgresql+asyncpg://host/name", "/a/file"]
)
def test_no_other_database_is_taken(value: str) -> None:
    is_refused(rules.database_url, value)


@pytest.mark.parametrize("value", ["", "redis://localhost", "redis://:secret@host:6379/1", "rediss://host:6380/0"])
def test_a_redis_address_may_be_empty_or_encrypted(value: str) -> None:
    assert rules.redis_url(value) == value


@pytest.mark.parametrize(
    "value", ["localhost:6379", "unix:///run/redis.sock", "amqp://host", "redis:/host", "http://host"]
)
def test_a_redis_address_is_of_a_redis_server(value: str) -> None:
    is_refused(rules.redis_url, value)


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("", ()),
        (" , ,", ()),
        ("push.example.org", ("push.example.org",)),
        ("a.example, *.b.example", ("a.example", "*.b.example")),
        ("A.Example B.EXAMPLE\n127.0.0.1,::1", ("a.example", "b.example", "127.0.0.1", "::1")),
        ("push_service.internal localhost", ("push_service.internal", "localhost")),
    ],
)
def test_a_list_of_hosts_stands_between_commas_or_blanks(value: str, hosts: tuple[str, ...]) -> None:
    assert rules.host_list(value) == hosts


@pytest.mark.parametrize(
    "value",
    ["https://push.example.org", "push.example.org:443", "push.example.org/x", "*", "*.", "*.*.example", ".example.org",
     "push..example", "-push.example", "a@b.example", "[::1]", "a.example;b.example"],
)  # fmt: skip
def test_a_list_of_hosts_holds_only_host_names(value: str) -> None:
    assert "1 entries" in is_refused(rules.host_list, value)
    assert "2 entries" in is_refused(rules.host_list, f"good.example,{value} {value}")


@pytest.mark.parametrize("host", ["localhost", "feedback.localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_loopback_is_this_machine(host: str) -> None:
    assert rules.is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.org", "notlocalhost", "192.168.0.1", "128.0.0.1", "::2"])
def test_everything_else_is_not(host: str) -> None:
    assert not rules.is_loopback(host)


@pytest.mark.parametrize("password", ["pa#ss", "pa/ss", "pa?ss", "p[ss"])
def test_a_database_password_may_hold_any_character(password: str) -> None:
    address = rules.database_url(f"postgresql://ada:{password}@host/name")
    assert address == f"postgresql+psycopg://ada:{password}@host/name"


@pytest.mark.parametrize("value", ["", "Mars/Olympus", "europe/berlin", "../etc/passwd", "CEST"])
def test_a_time_zone_is_one_of_the_worlds(value: str) -> None:
    assert "Europe/Berlin" in is_refused(rules.time_zone, value)
    assert rules.time_zone("Europe/Berlin") == "Europe/Berlin"


_PIECES = ["http", "https", "redis", "postgresql", "sqlite", "://", "/", ":", "@", "[", "]", "::1", "%", "#", "?", "."]
_ADDRESSES = st.lists(st.sampled_from(_PIECES) | st.text(max_size=6) | st.integers().map(str), max_size=10)
_RULES: list[Callable[[str], object]] = [
    *(rules.site_url, rules.admin_url, rules.database_url, rules.redis_url, rules.host_list),
    *(notification_rules.burst, notification_rules.quiet_hours, vapid_rules.public_key_of),
    lambda value: vapid_rules.vapid_subject(value, value, push_enabled=True),
]


@pytest.mark.parametrize("rule", _RULES)
@given(value=_ADDRESSES.map("".join) | st.text(max_size=60))
def test_any_value_is_either_used_or_refused(rule: Callable[[str], object], value: str) -> None:
    with suppress(ValidationError):
        rule(value)
