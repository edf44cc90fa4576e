"""Any input to the form gives a readable answer, and the typed text is stored."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from feedback_push import typed_text
from feedback_push.database import db
from feedback_push.feedback.models import Message
from tests.visits import Page, Visit, Visitor

FIELDS = ("content", "submitter_name", "submitter_email")
EVERYTHING = st.text(st.characters(codec=None), max_size=300)  # lone surrogates and NUL too
NAMES = st.sampled_from([*FIELDS, "csrf_token", "website", "opened", "proof", "unknown", ""])
MANY = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
MEAN = "\0\ud800\u202e\u0645\u0631\u2066\r\n\r\u2028\x1b[31m<b>{{ 7*7 }}%s\udfff"


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    return visit(form_defence=True)


@pytest.fixture
def token(client: Visitor) -> str:
    """Return the CSRF token of the form; it is the same for every example."""
    return str(client.read("/feedback/").fields["csrf_token"])


@pytest.fixture
def visitors_token(visitor: Visitor) -> str:
    """Return the same for the form with traps."""
    return str(visitor.read("/feedback/").fields["csrf_token"])


def body(pairs: dict[str, str]) -> bytes:
    """Encode a form; a lone surrogate is sent as a program would send it."""
    return urlencode({name: value.encode("utf-8", "surrogatepass") for name, value in pairs.items()}).encode()


def post(visitor: Visitor, pairs: dict[str, str]) -> Any:
    return visitor.post("/feedback/", data=body(pairs), content_type="application/x-www-form-urlencoded")


def arrives_as(value: str) -> str:
    """Return the typed text as typed_text stores it; bytes that are not text stay escaped."""
    read = value.encode("utf-8", "surrogatepass").decode("utf-8", "werkzeug.url_quote")
    return typed_text.storable(read) or ""


@pytest.mark.usefixtures("any_app")
@MANY
@given(content=EVERYTHING, name=EVERYTHING, email=st.one_of(EVERYTHING, st.emails(), st.just("")))
@example(content=MEAN, name=MEAN, email=MEAN)
@example(content=MEAN, name="Ada", email="ada@example.org")
@example(content="x", name="\u202eadA", email="")
@example(content="\r\n\r", name="\r\n", email="\r\n")
def test_what_is_stored_is_what_was_typed_and_what_is_not_is_still_in_the_form(
    client: Visitor, token: str, content: str, name: str, email: str
) -> None:
    typed = dict(zip(FIELDS, (content, name, email), strict=True))
    answer = post(client, {**typed, "csrf_token": token})
    messages = list(db.session.scalars(select(Message)))
    wanted = {field: arrives_as(value) for field, value in typed.items()}
    wanted["submitter_email"] = typed_text.trimmed(wanted["submitter_email"]) or ""
    if answer.status_code == 303:
        [message] = messages
        assert {field: getattr(message, field) for field in FIELDS} == wanted
    else:
        assert (answer.status_code, messages) == (422, [])
        assert Page(answer).alert
    db.session.execute(delete(Message))
    db.session.commit()


@MANY
@given(pairs=st.dictionaries(NAMES, EVERYTHING, max_size=8), with_token=st.booleans())
@example(pairs=dict.fromkeys(["content", "submitter_name", "website", "opened", "proof"], MEAN), with_token=True)
def test_no_field_breaks_the_form(
    visitor: Visitor, visitors_token: str, pairs: dict[str, str], with_token: bool
) -> None:
    if with_token:
        pairs = {**pairs, "csrf_token": visitors_token}
    assert post(visitor, pairs).status_code in (303, 400, 422)


@MANY
@given(
    raw=st.binary(max_size=500),
    kind=st.sampled_from(
        [
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            "application/json",
            "",
            "é",
        ]
    ),
)
def test_no_body_breaks_the_form(visitor: Visitor, raw: bytes, kind: str) -> None:
    for address in ("/feedback/", "/feedback/confirm/"):
        answer: Any = visitor.post(address, data=raw, headers={"Content-Type": kind})
        assert answer.status_code in (303, 400, 422), (address, answer.status_code)
