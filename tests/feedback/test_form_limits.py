"""The limits of forms: an office, an incident and a flood, each of messages without a proof of work."""

from collections import Counter
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select

from feedback_push.database import db
from feedback_push.feedback import quotas, site_forms
from feedback_push.feedback.form_models import Form, Presence, SiteLimit
from feedback_push.feedback.models import Message
from tests.feedback.messages import confirmation_token, own_form
from tests.visits import Visit, Visitor

SHOP = "https://shop.example"


@pytest.fixture
def browser(visit: Visit) -> Visitor:
    """A browser at an address that no other test uses, on a site with its traps and limits."""
    browser = visit(form_defence=True, ratelimit_enabled=True)
    browser.environ_base["REMOTE_ADDR"] = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
    return browser


def form(browser: Visitor, key: str, **more: object) -> Form:
    with browser.application.app_context():
        return own_form(key, origins=[SHOP], name_field=Presence.OFF, **more)


def post(browser: Visitor, key: str, content: str = "Hello") -> str:
    """Post a plain form, and return the page that follows, or the status."""
    answer = browser.post(f"/f/{key}", data={"content": content}, headers={"Origin": SHOP})
    return answer.location.split("/")[-2] if answer.status_code == 303 else str(answer.status_code)


def random_key() -> str:
    return f"f{uuid4().hex[:8]}"  # counts of other tests have other keys


@pytest.mark.usefixtures("app")
def test_an_office_behind_one_address_gets_through_where_the_owner_expects_it(browser: Visitor) -> None:
    usual, own, office = random_key(), random_key(), random_key()
    form(browser, usual)
    form(browser, own, network_hourly=10)
    form(browser, office, network_hourly=200, form_hourly=3_000)
    assert Counter(post(browser, usual) for _ in range(15)) == {"confirm": 10, "complete": 5}  # five wait in spam
    assert post(browser, own) == "confirm"  # a form with its own number counts for itself
    assert Counter(post(browser, office) for _ in range(205)) == {"confirm": 200, "complete": 5}


@pytest.mark.usefixtures("app")
def test_a_form_takes_no_more_than_its_owner_wants_and_others_go_on(browser: Visitor) -> None:
    few, other = random_key(), random_key()
    form(browser, few, form_hourly=3)
    form(browser, other)
    assert [post(browser, few) for _ in range(5)] == ["confirm"] * 3 + ["429"] * 2
    answer = browser.post(f"/f/{few}", data={"content": "Kept"}, headers={"Origin": SHOP})
    assert "a lot of messages in the last hour" in answer.text
    assert "Kept" in answer.text
    assert answer.headers["Retry-After"]
    assert post(browser, other) == "confirm"


@pytest.mark.usefixtures("app")
def test_a_flood_of_large_texts_ends_whatever_the_owner_expects(browser: Visitor) -> None:
    key = random_key()
    form(browser, key, network_hourly=1_000_000, form_hourly=1_000_000)
    sent = Counter(post(browser, key, "x" * 150_000) for _ in range(12))
    assert sent["429"] >= 4
    assert (db.session.scalar(select(func.sum(Message.size))) or 0) < 1_300_000


@pytest.mark.usefixtures("app")
def test_the_limits_of_the_site_hold_without_a_restart(browser: Visitor, app: Flask) -> None:
    key = random_key()
    form(browser, key)
    db.session.add(SiteLimit(name="network_hourly", value=2))
    db.session.commit()
    assert [post(browser, key) for _ in range(3)] == ["confirm", "confirm", "complete"]


@pytest.mark.usefixtures("app")
def test_a_network_causes_no_more_notifications_than_the_form_allows(browser: Visitor) -> None:
    key = random_key()
    form(browser, key, notify_daily=1)
    for _ in range(3):
        assert post(browser, key) == "confirm"
    with browser.application.app_context():
        ids = db.session.scalars(select(Message.id)).all()
        tokens = [confirmation_token(key, message_id) for message_id in ids]
    for token in tokens:
        assert browser.post(f"/f/{key}/confirm/{token}").status_code == 303
    db.session.rollback()
    assert [each is None for each in db.session.scalars(select(Message.outbox_id).order_by(Message.id))] == [
        False,
        True,
        True,
    ]


@pytest.mark.usefixtures("app")
def test_an_incident_gets_through_where_the_forms_own_number_is_higher_than_the_sites(browser: Visitor) -> None:
    usual, incident = random_key(), random_key()
    form(browser, usual)
    form(browser, incident, form_hourly=40)
    db.session.add(SiteLimit(name="total_hourly", value=31))
    db.session.commit()
    found = {}
    with browser.application.app_context():
        for key in (incident, usual):
            asked = site_forms.find(key)
            assert asked
            verdicts: Counter[tuple[str, bool]] = Counter()
            for number in range(45):
                address = f"2001:db8:{uuid4().hex[:4]}:{number:x}::1"
                with browser.application.test_request_context("/", environ_base={"REMOTE_ADDR": address}):
                    verdict = quotas.verdict(100, proven=False, form=asked)
                    verdicts[verdict.value, quotas.may_confirm(asked)] += 1
            found[key] = verdicts
    assert found[incident] == {("taken", True): 40, ("form-full", False): 5}
    assert found[usual] == {("taken", True): 31, ("taken", False): 14}
