"""setting_rules.py: what each setting may look like, rule by rule."""

from collections.abc import Callable
from contextlib import suppress
from datetime import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from environs import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from feedback_push import setting_rules as rules
from feedback_push.push import vapid
from feedback_push.setting_rules import Burst, QuietHours
from tests.conftest import KEYS

PUBLIC_SITE = "https://feedback.example.org"


def is_refused(rule: Callable[..., object], value: str, *more: object) -> str:
    """The words of the refusal."""
    with pytest.raises(ValidationError) as refusal:
        rule(value, *more)
    return " ".join(str(message) for message in refusal.value.messages)


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


@pytest.mark.parametrize(("value", "spelled"), [("10/60", "10/60"), ("1000/3600", "1000/3600"), ("0", "0")])
def test_a_burst_is_a_number_in_so_many_seconds_or_never(value: str, spelled: str) -> None:
    assert str(rules.burst(value)) == spelled
    assert rules.burst("7/30") == Burst(count=7, seconds=30)


@pytest.mark.parametrize(
    "value", ["", "10", "0/60", "10/0", "1001/60", "10/3601", "-1/60", "10/60/2", "a/b", "10 / 60"]
)
def test_any_other_burst_is_refused(value: str) -> None:
    is_refused(rules.burst, value)


def test_quiet_hours_are_two_times_of_the_day_or_none() -> None:
    assert rules.quiet_hours("") is None
    assert rules.quiet_hours("22:00-07:30") == QuietHours(begin=time(22, 0), end=time(7, 30))
    assert str(rules.quiet_hours("00:05-23:59")) == "00:05-23:59"


@pytest.mark.parametrize(
    "value", ["22:00", "22-7", "24:00-07:00", "22:60-07:00", "22:00-22:00", "22:00-07:00 ", "9:00-10:00"]
)
def test_any_other_quiet_hours_are_refused(value: str) -> None:
    is_refused(rules.quiet_hours, value)


def test_a_key_pair_is_used_as_it_was_generated() -> None:
    for _ in range(20):  # about one key in 128 starts with a zero byte or a hyphen
        pair = vapid.generate()
        assert rules.vapid_private_key(pair.private_key, pair.public_key) == pair.private_key
        assert rules.vapid_public_key(pair.public_key, pair.private_key) == pair.public_key


def test_the_public_key_is_derived_where_it_is_not_given() -> None:
    assert rules.vapid_public_key("", KEYS.private_key) == KEYS.public_key


def test_a_public_key_may_be_padded() -> None:
    assert rules.vapid_public_key(f"{KEYS.public_key}=", KEYS.private_key) == KEYS.public_key


def test_without_a_private_key_push_is_off() -> None:
    assert rules.vapid_private_key("", "") == ""
    assert rules.vapid_public_key("", "") == ""


def test_half_a_pair_is_refused() -> None:
    assert "VAPID_PUBLIC_KEY" in is_refused(rules.vapid_private_key, "", KEYS.public_key)


def test_a_public_key_of_another_pair_is_refused() -> None:
    assert "does not belong" in is_refused(rules.vapid_public_key, vapid.generate().public_key, KEYS.private_key)


@pytest.mark.parametrize(
    "value",
    [
        "short",
        "ключ",
        "A" * 43,  # zero
        "_" * 43,  # larger than the order of the curve
        KEYS.private_key[:-2],
        f"{KEYS.private_key}AAAA",
        KEYS.public_key,
        "-----BEGIN EC PRIVATE KEY-----",
    ],
)
def test_what_is_no_private_key_on_the_curve_is_refused(value: str) -> None:
    is_refused(rules.vapid_private_key, value, "")


def test_the_public_key_is_the_uncompressed_point() -> None:
    one = "A" * 42 + "E"  # the number 1, whose point is the generator
    generator = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
    assert rules.public_key_of(one).startswith("B")  # 0x04
    assert len(rules.public_key_of(one)) == 87
    assert generator.x.to_bytes(32, "big").hex().startswith("6b17d1f2")


@pytest.mark.parametrize(
    "value",
    [
        "mailto:ada@example.org",
        "mailto:ada+push@mail.example.co.uk",
        "https://feedback.example.org",
        "https://a-b.c-d.example.org",
    ],
)
@pytest.mark.parametrize("site", [PUBLIC_SITE, "http://127.0.0.1:8000", None])
def test_a_contact_is_an_e_mail_address_or_the_https_address_of_a_host(value: str, site: str | None) -> None:
    assert rules.vapid_subject(value, site, True) == value


def test_a_contact_loses_its_closing_slash() -> None:
    assert rules.vapid_subject("https://feedback.example.org/", PUBLIC_SITE, True) == "https://feedback.example.org"


@pytest.mark.parametrize(
    "value",
    ["", "ada@example.org", "mailto:", "mailto:ada", "mailto:@example.org", "mailto: ada@example.org", "mailto:ada@",
     "mailto:ada@b@example.org", "mailto:ada@example.org\n", "http://example.org", "https://", "https:// example.org",
     "tel:1", "https://feedback.example.org/contact", "https://feedback.example.org:8443", "https://ada@example.org",
     "https://[::1", "https://[2001:db8::1]"],
)  # fmt: skip
@pytest.mark.parametrize("site", [PUBLIC_SITE, "http://localhost:8000"])
def test_anything_else_is_no_contact(value: str, site: str) -> None:
    assert "mailto" in is_refused(rules.vapid_subject, value, site, True)


@pytest.mark.parametrize(
    "value",
    ["mailto:admin@localhost", "mailto:ada@mailserver", "mailto:ada@nas.local", "mailto:ada@nas.LOCAL.",
     "mailto:ada@x.test", "mailto:ada@mail.example", "mailto:ada@x.invalid", "mailto:ada@x.internal",
     "mailto:ada@router.lan", "mailto:ada@192.0.2.1", "https://feedback.localhost", "https://127.0.0.1"],
)  # fmt: skip
def test_a_contact_that_apple_refuses_is_refused_unless_the_site_is_on_loopback(value: str) -> None:
    assert "Apple" in is_refused(rules.vapid_subject, value, PUBLIC_SITE, True)
    for site in ("http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000", "http://feedback.localhost"):
        assert rules.vapid_subject(value, site, True) == value


def test_without_push_nobody_asks_for_a_contact() -> None:
    assert rules.vapid_subject("nonsense", PUBLIC_SITE, False) == ""


@pytest.mark.parametrize(
    ("site", "contact"),
    [
        (PUBLIC_SITE, PUBLIC_SITE),
        (f"{PUBLIC_SITE}:8443", PUBLIC_SITE),
        ("http://feedback.example.org", "mailto:postmaster@localhost"),
        (None, "mailto:postmaster@localhost"),
    ],
)
def test_the_contact_is_the_site_itself_where_that_will_do(site: str | None, contact: str) -> None:
    assert rules.default_subject(site) == contact


@pytest.mark.parametrize(
    "site", ["https://localhost:8443", "https://127.0.0.1:8443", "https://[::1]:8443", "http://[::1]"]
)
def test_a_site_on_loopback_needs_no_contact_of_its_own(site: str) -> None:
    assert rules.vapid_subject(rules.default_subject(site), site, True)


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
    *(rules.burst, rules.quiet_hours, rules.time_zone, rules.public_key_of),
    lambda value: rules.vapid_subject(value, value, push_enabled=True),
]


@pytest.mark.parametrize("rule", _RULES)
@given(value=_ADDRESSES.map("".join) | st.text(max_size=60))
def test_any_value_is_either_used_or_refused(rule: Callable[[str], object], value: str) -> None:
    with suppress(ValidationError):
        rule(value)


@given(begin=st.times(), end=st.times())
def test_quiet_hours_are_read_as_they_are_written(begin: time, end: time) -> None:
    hours = QuietHours(begin.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0))
    if hours.begin == hours.end:
        is_refused(rules.quiet_hours, str(hours))
    else:
        assert rules.quiet_hours(str(hours)) == hours
