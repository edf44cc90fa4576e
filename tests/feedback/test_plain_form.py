"""feedback/plain_form.py: a plain HTML form on another site, without a script, a session or a cookie."""

from typing import NamedTuple

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from feedback_push.database import db
from feedback_push.feedback import plain_form
from feedback_push.feedback.form_models import DEFAULT_KEY, Presence
from feedback_push.feedback.models import Message, MessageState
from tests.feedback.messages import confirmation_token, in_spam, own_form
from tests.servers import CHECKOUT
from tests.visits import Page, Visit, Visitor

SHOP = "https://shop.example"
TYPED = {"content": "It works <b>", "name": "Ada", "email": "ada@example.org", "page_url": f"{SHOP}/cart?card=1"}


class Snippet(NamedTuple):
    """A piece of a page that somebody else's site serves."""

    text: str
    status_code: int = 200


@pytest.fixture
def browser(visit: Visit) -> Visitor:
    """A browser without a cookie, on a site with its traps; the owner allows the shop."""
    browser = visit(form_defence=True)
    with browser.application.app_context():
        own_form(origins=[SHOP], name_field=Presence.OPTIONAL)
    return browser


def post(browser: Visitor, address: str = "/f/shop", origin: str | None = SHOP, **typed: str) -> TestResponse:
    headers = {"Origin": origin} if origin else {}
    return browser.post(address, data={**TYPED, **typed}, headers=headers)


def stored() -> list[Message]:
    db.session.rollback()
    return list(db.session.scalars(select(Message).order_by(Message.id)))


def sets_no_cookie(answer: TestResponse) -> bool:
    return "Set-Cookie" not in answer.headers


@pytest.mark.usefixtures("app")
def test_a_message_waits_in_spam_until_its_visitor_confirms_it_and_no_cookie_is_needed(
    browser: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = post(browser)
    assert (sent.status_code, sets_no_cookie(sent)) == (303, True)
    [message] = stored()
    assert (message.state, message.spam_reason, message.form_key) == (MessageState.SPAM, "no-proof", "shop")
    assert (message.submitter_name, message.page_url) == ("Ada", f"{SHOP}/cart")
    page = browser.get(sent.location)
    assert "Yes, I wrote this message" in page.text
    assert "csrf_token" not in Page(page).fields
    assert [each.state for each in stored()] == [MessageState.SPAM]  # a GET changes nothing
    with monkeypatch.context() as patch:
        patch.setattr(plain_form, "_SECONDS_TO_READ", 1_000)  # however busy this machine is
        assert browser.post(sent.location).status_code == 422  # faster than a person reads
    with browser.application.app_context():
        token = confirmation_token("shop", message.id)
    for _ in range(2):  # also on a second click
        confirmed = browser.post(f"/f/shop/confirm/{token}")
        assert confirmed.location == f"/f/shop/complete/{token}"
    thanks = browser.get(confirmed.location)
    assert "/conversations/" in thanks.text
    [message] = stored()
    assert (message.state, message.outbox_id is None) == (MessageState.NEW, False)
    assert all(map(sets_no_cookie, (page, confirmed, thanks)))


@pytest.mark.usefixtures("app")
def test_after_the_confirmation_the_owners_page_follows(browser: Visitor) -> None:
    with browser.application.app_context():
        own_form("news", origins=[SHOP], thanks_url="https://shop.example/thanks?a=1", name_field=Presence.OPTIONAL)
        token = confirmation_token("news", in_spam(form_key="news").id)
    page = browser.get(f"/f/news/confirm/{token}")
    assert "form-action 'self' https://shop.example;" in page.headers["Content-Security-Policy"]
    assert browser.post(f"/f/news/confirm/{token}").location == "https://shop.example/thanks?a=1"
    assert "form-action 'self';" in browser.get("/f/shop/complete/x").headers["Content-Security-Policy"]


@pytest.mark.usefixtures("app")
def test_another_site_a_hidden_one_and_a_wrong_key_are_refused_and_nothing_is_stored(browser: Visitor) -> None:
    for origin in (
        "https://evil.example",
        "null",
        "",
        "http://shop.example",
        "https://shop.example:444",
        "https://shop.example.evil.example",
        "x" * 3_000,
    ):
        answer = browser.post("/f/shop", data=TYPED, headers={"Origin": origin})
        assert (answer.status_code, sets_no_cookie(answer)) == (403, True), origin
        assert "so nothing was stored" in answer.text
    assert "no-referrer" in post(browser, origin="null").text
    assert browser.post("/f/shop", data=TYPED, headers={"Referer": "https://evil.example/x"}).status_code == 403
    assert post(browser, f"/f/{DEFAULT_KEY}").status_code == 403  # the default form is for no other site
    for key in ("shop2", "SHOP", "x" * 10_000, "..%2f", "confirm"):
        assert post(browser, f"/f/{key}").status_code in (404, 414), key
    assert stored() == []


@pytest.mark.usefixtures("app")
def test_the_referer_stands_in_for_the_origin_and_a_program_needs_neither(browser: Visitor) -> None:
    assert browser.post("/f/shop", data=TYPED, headers={"Referer": f"{SHOP}/cart"}).status_code == 303
    assert post(browser, origin=None).status_code == 303
    assert len(stored()) == 2


@pytest.mark.usefixtures("app")
def test_bad_fields_come_back_with_all_that_was_typed_and_can_be_sent_from_there(browser: Visitor) -> None:
    answer = post(browser, email="ada")
    page = Page(answer)
    assert (answer.status_code, sets_no_cookie(answer)) == (422, True)
    assert page.one(id="submitter_email-error").words == "This does not look like an e-mail address."
    assert page.fields["content"] == TYPED["content"]
    assert stored() == []
    fields = {**page.fields, "submitter_email": "ada@example.org"}
    own = {"Origin": browser.site}
    assert browser.post(page.one("form").attributes["action"], data=fields, headers=own).status_code == 303
    assert [message.submitter_email for message in stored()] == ["ada@example.org"]
    for body in (b"\xff\xfe=\xff", b"content=" + b"x" * 4_000_000, b"&".join(b"a=b" for _ in range(1000))):
        answer = browser.post("/f/shop", data=body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in (413, 422)
    assert len(stored()) == 1


@pytest.mark.usefixtures("app")
def test_a_robot_that_fills_in_the_hidden_field_is_not_asked_to_confirm(browser: Visitor) -> None:
    answer = post(browser, website="https://pills.example")
    assert "/complete/" in answer.location
    assert [message.spam_reason for message in stored()] == ["honeypot"]
    assert "/conversations/" not in browser.get(answer.location).text


@pytest.mark.usefixtures("app")
def test_a_token_that_is_made_up_too_old_or_of_another_form_confirms_nothing(browser: Visitor) -> None:
    with browser.application.app_context():
        own_form("news")
        message = in_spam(form_key="shop").id
        good, old = confirmation_token("shop", message), confirmation_token("shop", message, age=86_401)
    for address in (f"/f/shop/confirm/{old}", f"/f/news/confirm/{good}", "/f/shop/confirm/x", f"/f/shop/complete/{old}",
                    f"/f/shop/confirm/{good}x", f"/f/shop/confirm/{'x' * 1000}"):  # fmt: skip
        assert browser.get(address).status_code == 404, address
        assert browser.post(address).status_code in (404, 405), address
    assert [each.state for each in stored()] == [MessageState.SPAM]


@pytest.mark.usefixtures("app")
def test_a_closed_form_takes_nothing_and_says_so_at_each_address(browser: Visitor) -> None:
    with browser.application.app_context():
        own_form("old-one", origins=[SHOP], closed_at=func.now())
    for answer in (post(browser, "/f/old-one"), browser.get("/feedback/old-one/"), browser.post("/feedback/old-one/")):
        assert answer.status_code in (400, 410)
    assert "closed" in browser.get("/feedback/old-one/").text
    assert stored() == []


@pytest.mark.usefixtures("app")
def test_the_address_leads_a_reader_to_the_page_of_the_form(client: Visitor, app: Flask) -> None:
    own_form()
    assert client.get("/f/shop").location == "/feedback/shop/"
    assert client.get(f"/f/{DEFAULT_KEY}").location == "/feedback/"
    assert client.get(f"/feedback/{DEFAULT_KEY}/").location == "/feedback/"


@pytest.mark.usefixtures("app")
def test_the_form_in_the_documentation_works(browser: Visitor) -> None:
    snippet = (CHECKOUT / "docs" / "forms.md").read_text().partition("```html\n")[2].partition("```")[0]
    page = Page(Snippet(snippet))
    assert page.one("form").attributes["action"].endswith("/f/shop")
    typed = {**page.fields, "content": "From the documentation", "name": "Ada"}
    assert typed.keys() == {"content", "name", "email", "page_url", "website"}
    assert browser.post("/f/shop", data=typed, headers={"Origin": SHOP}).status_code == 303
    [message] = stored()
    assert (message.content, message.submitter_name, message.page_url) == (typed["content"], "Ada", typed["page_url"])
    assert message.spam_reason == "no-proof"
