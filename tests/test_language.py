"""language.py: choose the language and the time zone of a page."""

import pytest
from flask import Flask
from flask_babel import get_timezone, gettext

from feedback_push import language
from tests.visits import Page, Visitor


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr,lt;q=0.5", "lt"),
        ("fr", "en"),
        ("", "en"),
        ("*", "en"),
        ("\x00;q=x", "en"),
    ],
)
def test_a_visitor_reads_what_the_browser_asks_for(app: Flask, asked: str, spoken: str) -> None:
    with app.test_request_context(headers={"Accept-Language": asked}):
        assert language.current() == spoken


def test_an_administrators_setting_comes_before_the_browsers(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "de"}):
        language.set_locale("lt", "Europe/Vilnius")
        assert (language.current(), str(get_timezone())) == ("lt", "Europe/Vilnius")


def test_what_the_browser_asks_for_is_known_beside_the_setting(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "de"}):
        language.set_locale("lt", None)
        assert language.browser_language() == "de"
    with app.test_request_context(headers={"Accept-Language": "fr"}):
        assert language.browser_language() == "en"


def test_without_a_setting_the_browser_and_the_site_decide(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "de"}):
        language.set_locale(None, None)
        assert (language.current(), str(get_timezone())) == ("de", "UTC")


def test_a_page_says_in_which_language_it_is(app: Flask) -> None:
    assert '<html lang="de" dir="ltr">' in app.test_client().get("/feedback/", headers={"Accept-Language": "de"}).text


def test_the_zones_to_choose_from_are_the_worlds() -> None:
    assert {"UTC", "Europe/Vilnius", "America/Argentina/Ushuaia"} <= set(language.time_zones())
    assert {"Etc/GMT+5", "localtime", "CET"} & set(language.time_zones()) == set()


@pytest.mark.parametrize(("asked", "label"), [("en", "Your e\u2011mail address"), ("de", "Ihre E\u2011Mail-Adresse")])
def test_no_line_breaks_inside_e_mail(client: Visitor, asked: str, label: str) -> None:
    answer = client.get("/feedback/", headers={"Accept-Language": asked})
    assert Page(answer).one("label", for_="submitter_email").raw.startswith(label)
    address = client.send("/feedback/", content="My e-mail", submitter_name="Ada", submitter_email="e-mail")
    page = Page(address)
    assert page.fields["content"] == "My e-mail"  # nothing typed is changed
    assert page.fields["submitter_email"] == "e-mail"


def test_a_terminal_gets_plain_hyphens(app: Flask) -> None:
    assert gettext("Your e-mail address") == "Your e-mail address"
