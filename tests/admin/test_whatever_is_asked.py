"""Any query in an address gives a page or a file, and never an internal error."""

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback.models import LISTS
from tests.feedback.messages import receive
from tests.test_not_allowed import Caller, signed_in

ADDRESSES = ("/admin/", "/admin/news", "/admin/messages.csv", "/admin/messages.json", "/admin/messages/1")
NAMES = st.sampled_from(["list", "q", "from", "until", "before", "after", "select"])
VALUES = st.one_of(
    st.text(max_size=40), st.integers().map(str), st.dates().map(str), st.sampled_from([*LISTS, "all", '"', "%_\\"])
)
MANY = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def caller(app: Flask, staff: User) -> Caller:
    receive(content="Hello", submitter_name="Ada")
    db.session.commit()
    return signed_in(app, staff.email)


@MANY
@given(address=st.sampled_from(ADDRESSES), asked=st.dictionaries(NAMES, VALUES, max_size=5))
@example(address="/admin/", asked={"from": "0001-01-01", "until": "9999-12-31"})
@example(address="/admin/", asked={"before": str(2**63), "q": "\0"})
def test_no_filter_breaks_a_list(caller: Caller, address: str, asked: dict[str, str]) -> None:
    assert caller.get(address, query_string=asked).status_code in (200, 302, 303)
