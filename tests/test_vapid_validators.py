"""vapid_validators.py: which key pairs and contacts are taken."""

import base64

import pytest

from feedback_push import vapid_validators as rules
from feedback_push.webpush import vapid
from tests.conftest import KEYS
from tests.refusals import is_refused

PUBLIC_SITE = "https://feedback.example.org"


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
    assert "does not match" in is_refused(rules.vapid_public_key, vapid.generate().public_key, KEYS.private_key)


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
def test_a_private_key_outside_the_curve_is_refused(value: str) -> None:
    is_refused(rules.vapid_private_key, value, "")


def test_the_public_key_is_the_uncompressed_point() -> None:
    one = "A" * 42 + "E"  # the private key 1: its public key is the generator
    point = base64.urlsafe_b64decode(f"{rules.public_key_of(one)}=").hex()
    assert len(point) == 2 * 65
    assert point.startswith("046b17d1f2")


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
