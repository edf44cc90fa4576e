"""A browser's subscription is checked, and its keys are stored in one spelling."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push.config import Settings
from feedback_push.push import browser_subscription
from feedback_push.push.browser_subscription import BrowserSubscription, SubscriptionRefused
from feedback_push.webpush.endpoints import EndpointPolicy
from tests.push.malformed import GOOD, POINT, SECRET, SUBSCRIPTIONS

POLICY = EndpointPolicy(hosts=("127.0.0.1",), private_allowed=True)
ENDPOINT: str = GOOD["endpoint"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(ENDPOINT) | st.just(POINT),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["endpoint", "keys", "p256dh", "auth"]), inner, max_size=4)
    ),
    max_leaves=8,
)


def test_a_browsers_subscription_is_read() -> None:
    assert BrowserSubscription.parse(GOOD, POLICY) == BrowserSubscription(ENDPOINT, POINT, SECRET)


@pytest.mark.parametrize(
    "spell", [base64.urlsafe_b64encode, base64.b64encode, lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")]
)
def test_keys_are_kept_in_one_spelling(spell: Callable[[bytes], bytes]) -> None:
    secret = b"\xff\xef\xbe" * 5 + b"\xff"
    keys = {"p256dh": spell(base64.urlsafe_b64decode(POINT + "=")).decode(), "auth": spell(secret).decode()}
    browser = BrowserSubscription.parse({"endpoint": ENDPOINT, "keys": keys}, POLICY)
    assert browser == BrowserSubscription(ENDPOINT, POINT, base64.urlsafe_b64encode(secret).rstrip(b"=").decode())


@pytest.mark.parametrize(("data", "words"), SUBSCRIPTIONS)
def test_anything_else_is_refused_with_a_reason(data: Any, words: str) -> None:
    with pytest.raises(SubscriptionRefused, match=words):
        BrowserSubscription.parse(data, POLICY)


@given(_JSON)
def test_any_json_is_either_read_or_refused(data: Any) -> None:
    with pytest.raises(SubscriptionRefused):
        BrowserSubscription.parse(data, POLICY)


def test_an_operator_adds_hosts_to_the_known_ones(settings: Settings) -> None:
    policy = browser_subscription.endpoint_policy(settings)
    policy.check("http://127.0.0.1:8080/wpush/abc")
    policy.check("https://localhost:8443/wpush/abc")
    policy.check("https://fcm.googleapis.com/fcm/send/abc")
