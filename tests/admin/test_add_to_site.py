"""admin/add_to_site.py: the lines for another site, and the sites whose pages have loaded the form."""

from datetime import timedelta
from html.parser import HTMLParser

import pytest
from flask import Flask
from sqlalchemy import update

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import form_loads
from feedback_push.feedback.form_models import FormLoad
from tests.api.page import SHOP, SHOP_FORM, OtherPage
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import own_form
from tests.visits import Page, Visitor

ADDRESS = "/admin/forms/shop/add"
OTHER = "https://other.example"


@pytest.fixture
def browser(client: Visitor, staff: User) -> Visitor:
    client.sign_in(staff.email, PASSWORD)
    own_form(**SHOP_FORM)
    return client


def loads(page: Page) -> list[str]:
    return [row.words for row in page.all("li") if "Last loaded" in row.words]


def test_the_lines_name_this_site_and_have_the_fields_of_the_form(browser: Visitor) -> None:
    page = browser.read(ADDRESS)
    corner = page.one("code", id="snippet-corner").words
    assert corner == ('<script type="module" src="http://127.0.0.1:8000/embed/feedback.js" data-form="shop"></script>')
    assert '<a href="http://127.0.0.1:8000/f/shop">Feedback</a>' in page.one("code", id="snippet-button").words
    site = "http://127.0.0.1:8000"
    assert page.one("code", id="snippet-policy").words == f"script-src {site}; connect-src {site}"
    assert names(page.one("code", id="snippet-plain").words) == [
        *("rating", "category", "content", "answer_q1", "name", "email", "website")
    ]
    assert page.one("feedback-form", id="try-it").attributes["form"] == "shop"
    assert "No page of another site" in page.one("p", id="no-loads").words
    assert browser.get("/admin/forms/default/add").status_code == 200
    assert browser.get("/admin/forms/nothing/add").status_code == 404


def test_the_words_of_a_form_cannot_leave_the_lines(browser: Visitor) -> None:
    attack = '"><script>alert(1)</script>'
    own_form(
        "odd",
        categories=[{"en": attack}],
        questions=[{"id": "1", "labels": {"en": attack}, "required": True, "long": False}],
    )
    text = browser.read("/admin/forms/odd/add").one("code", id="snippet-plain").words
    assert "<script" not in text
    assert names(text) == ["category", "content", "answer_1", "email", "website"]


def names(text: str) -> list[str]:
    """Return the names of the fields in a text that is HTML."""
    found: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(str(value) for name, value in attrs if name == "name" and tag != "form")

    Parser().feed(text)
    return found


def test_the_page_says_which_sites_have_loaded_the_form_and_which_were_refused(any_app: Flask) -> None:
    own_form(**SHOP_FORM)
    make_user("staff@example.org")
    browser = Visitor(any_app)
    browser.sign_in("staff@example.org", PASSWORD)
    for _ in range(2):
        assert OtherPage(any_app).fetch("GET", "shop").status_code == 200
        assert OtherPage(any_app, OTHER).fetch("GET", "shop").status_code == 403
        any_app.extensions["form_loads"].clear()  # as another process
    for origin in (None, "http://127.0.0.1:8000", "null", "x" * 5_000, "https://a b", "javascript:x", f"{OTHER}/path"):
        OtherPage(any_app, origin).fetch("GET", "shop")
    OtherPage(any_app).fetch("GET", "shop/challenge")
    found = loads(browser.read(ADDRESS))
    assert [(row.split()[0], "Works" in row, "Refused" in row) for row in found] == [
        (OTHER, False, True),
        (SHOP, True, False),
    ]
    db.session.rollback()
    assert {column.name for column in FormLoad.__table__.columns} == {"form_key", "day", "origin"}  # no visitor
    for number in range(2 * form_loads.MOST_REFUSED):
        OtherPage(any_app, f"https://made-up-{number}.example").fetch("GET", "shop")
    assert len(loads(browser.read(ADDRESS))) == form_loads.MOST_REFUSED + 1
    db.session.execute(update(FormLoad).values(day=utcnow().date() - form_loads.KEPT - timedelta(days=1)))
    form_loads.remove_old(utcnow())
    db.session.commit()
    assert loads(browser.read(ADDRESS)) == []
