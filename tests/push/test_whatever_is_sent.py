"""Any input to the JSON endpoints gives a readable answer, and never an internal error."""

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from feedback_push.auth.models import User
from tests.push.malformed import GOOD
from tests.test_not_allowed import Caller, signed_in

ADDRESSES = ("/push/subscribe", "/push/unsubscribe", "/push/receipt")
NAMES = st.sampled_from(["endpoint", "keys", "p256dh", "auth", "token", "event", "applicationServerKey", ""])
GOOD_VALUES = st.sampled_from([GOOD["endpoint"], GOOD["keys"], *GOOD["keys"].values(), "shown", "clicked", 10**400])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | GOOD_VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
BODIES = VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def caller(app: Flask, staff: User) -> Caller:
    return signed_in(app, staff.email)


@MANY
@given(address=st.sampled_from(ADDRESSES), body=BODIES)
@example(address="/push/subscribe", body=b"[" * 4000)
@example(address="/push/unsubscribe", body=b'{"endpoint": "\\ud800"}')
@example(address="/push/receipt", body=b'{"token": "\\ud800\\u0000", "event": "shown"}')
def test_no_body_breaks_an_endpoint(caller: Caller, address: str, body: bytes) -> None:
    headers = {"X-CSRFToken": caller.token(), "Referer": caller.site}
    answer: Any = caller.post(address, data=body, content_type="application/json", headers=headers)
    assert answer.status_code in (200, 204, 400, 413, 422)
    assert answer.status_code < 300 or answer.get_json()["error"]
