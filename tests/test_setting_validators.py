"""setting_validators.py: which keys, paths, hosts and time zones are taken; and no rule fails at any value."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from environs import ValidationError
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from feedback_push import notification_validators, url_validators, vapid_formats, vapid_validators
from feedback_push import setting_validators as rules
from feedback_push.config import current_settings
from tests.refusals import is_refused


@pytest.mark.parametrize("value", ["", "fifteen letters"])
def test_a_secret_key_has_at_least_16_characters(value: str) -> None:
    is_refused(rules.secret_key, value)
    assert rules.secret_key("sixteen letters!") == "sixteen letters!"


def test_the_key_before_is_another_one_and_as_long() -> None:
    now = "sixteen letters!"
    assert rules.secret_key_previous("", current=now) == ""
    assert rules.secret_key_previous("another one, before", current=now) == "another one, before"
    for value in ("short", now):
        with pytest.raises(ValidationError):
            rules.secret_key_previous(value, current=now)


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
        "/metrics/",
        "/logo/",
        "/theme.css/",
        "/.well-known/",
    ],
)
def test_an_admin_path_takes_no_other_pages_place(value: str) -> None:
    assert "another page" in is_refused(rules.admin_url, value)


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("", ()),
        (" , ,", ()),
        ("push.example.org", ("push.example.org",)),
        ("a.example, *.b.example", ("a.example", "*.b.example")),
        ("A.Example B.EXAMPLE\n127.0.0.1,::1", ("a.example", "b.example", "127.0.0.1", "::1")),
        ("push_service.internal localhost", ("push_service.internal", "localhost")),
        ("push.straße.example *.Bücher.example", ("push.xn--strae-oqa.example", "*.xn--bcher-kva.example")),
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


@pytest.mark.parametrize("value", ["", "Mars/Olympus", "europe/berlin", "../etc/passwd", "CEST"])
def test_a_time_zone_is_one_of_the_worlds(value: str) -> None:
    assert "Europe/Berlin" in is_refused(rules.time_zone, value)
    assert rules.time_zone("Europe/Berlin") == "Europe/Berlin"


_PIECES = ["http", "https", "redis", "postgresql", "sqlite", "://", "/", ":", "@", "[", "]", "::1", "%", "#", "?", "."]
_ADDRESSES = st.lists(st.sampled_from(_PIECES) | st.text(max_size=6) | st.integers().map(str), max_size=10)
_RULES: list[Callable[[str], object]] = [
    *(url_validators.site_url, rules.admin_url, url_validators.database_url, url_validators.redis_url, rules.host_list),
    *(notification_validators.burst, notification_validators.quiet_hours, vapid_validators.public_key_of),
    *(vapid_formats.private_key, vapid_formats.public_key, url_validators.security_contact, url_validators.push_proxy),
    lambda value: vapid_validators.vapid_subject(value, value, push_enabled=True),
]


@pytest.mark.parametrize("rule", _RULES)
@given(value=_ADDRESSES.map("".join) | st.text(max_size=60))
def test_any_value_is_either_used_or_refused(rule: Callable[[str], object], value: str) -> None:
    with suppress(ValidationError):
        rule(value)


def test_the_dashboard_takes_no_address_of_another_page(app: Flask) -> None:
    first_parts = {f"/{rule.rule.split('/')[1]}/" for rule in app.url_map.iter_rules() if rule.rule != "/"}
    assert len(first_parts) > 10
    for taken in first_parts - {current_settings().admin_url}:
        assert "another page" in is_refused(rules.admin_url, taken)
