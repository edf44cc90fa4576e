"""admin/forms.py and form_editor.py: an administrator makes, changes, previews, closes and deletes forms."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from feedback_push.auth import audit
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import site_forms
from feedback_push.feedback.form_models import DEFAULT_KEY, Form, SiteLimit
from feedback_push.feedback.models import Message
from tests.feedback.messages import own_form, receive
from tests.visits import Page, Visitor

RLO = "\u202e"
SHOP: dict[str, Any] = {
    "key": "shop",
    "name": "Shop",
    "origins": "https://Shop.example/\nhttps://b\u00fccher.example",
    "title_de": "Wie war es?",
    "title_en": "How was it?",
    "button_en": "Go",
    "categories_en": "Bug\n\nPraise",
    "categories_de": "Fehler\nLob",
    "question1_en": "Why?",
    "required1": "y",
    "rating": "stars",
    "name_field": "off",
    "email_field": "required",
    "thanks_url": "https://shop.example/thanks",
    "network_hourly": "250",
    "form_hourly": "3000",
}


def send(browser: Visitor, address: str = "/admin/forms/new", **typed: Any) -> TestResponse:
    """Fill in a form of the dashboard and send it."""
    page = browser.read(address)
    fields = {name: value for name, value in page.fields.items() if name != "preview"}
    return browser.post(address, data={**fields, **typed}, headers={"Referer": browser.site})


def press(browser: Visitor, address: str) -> TestResponse:
    token = browser.read("/admin/forms").fields["csrf_token"]
    return browser.post(address, data={"csrf_token": token}, headers={"Referer": browser.site})


def forms() -> list[Form]:
    db.session.rollback()
    return list(db.session.scalars(select(Form)))


def errors(answer: TestResponse) -> list[str]:
    return [each.attributes["id"].removesuffix("-error") for each in Page(answer).all("p", class_="error")]


def test_a_form_is_made_in_the_dashboard_and_is_there_at_once(dashboard: Visitor, app: Flask, staff: User) -> None:
    assert send(dashboard, **SHOP).location == "/admin/forms/shop"
    [form] = forms()
    assert form.origins == ["https://shop.example", "https://xn--bcher-kva.example"]
    assert form.categories == [{"en": "Bug", "de": "Fehler"}, {"en": "Praise", "de": "Lob"}]
    assert form.questions == [{"id": "1", "labels": {"en": "Why?"}, "required": True, "long": False}]
    found = site_forms.find("shop")
    assert found
    assert (found.limits.network_hourly, found.limits.form_hourly, found.limits.notify_daily) == (250, 3000, 500)
    page = Visitor(app).get("/feedback/shop/", headers={"Accept-Language": "de"})
    assert Page(page).one("h1").words == "Wie war es?"
    assert "Fehler" in page.text
    visitor = Visitor(app)
    sent = visitor.send(
        "/feedback/shop/", content="Hi", submitter_email="a@b.example", answer_1="So", category="Praise"
    )
    assert sent.location == "https://shop.example/thanks"
    assert db.session.scalars(select(Message.form_key)).one() == "shop"
    assert next(entry.event for entry in audit.page(about=staff).entries) == "form-added"
    assert send(dashboard, "/admin/forms/shop", name="Store", title_de="").status_code == 303
    assert [(each.name, each.words.get("de")) for each in forms()] == [("Store", None)]


def test_the_editor_shows_what_is_stored(dashboard: Visitor) -> None:
    send(dashboard, **SHOP)
    fields = dashboard.read("/admin/forms/shop").fields
    stored = {**SHOP, "origins": "https://shop.example\nhttps://xn--bcher-kva.example", "categories_en": "Bug\nPraise"}
    assert {name: fields[name] for name in stored if name != "key"} == {
        name: value for name, value in stored.items() if name != "key"
    }


def test_an_empty_address_becomes_a_random_one(dashboard: Visitor) -> None:
    for _ in range(2):
        send(dashboard, name="Shop")
    assert len({form.key for form in forms()}) == 2
    assert all(len(form.key) == 10 for form in forms())


def test_bad_values_are_marked_and_nothing_is_stored_or_lost(dashboard: Visitor) -> None:
    bad: dict[str, list[str]] = {
        "name": ["", "\u200b", "x" * 61, "x" * 5_000],
        "key": ["a", "Shop", "complete", "preview", "default", "x" * 41, "sh op", "../x", "shop/", RLO + "shop"],
        "origins": ["*", "https://*.example", "https://(a+)+b", "shop.example",
                    "\n".join(f"https://s{number}.example" for number in range(300)), "https://" + "x" * 7_000],
        "title_en": ["x" * 121],
        "button_lt": ["x" * 41],
        "intro_de": ["x" * 1_001],
        "categories_en": ["Bug\nbug", "x" * 121, "\n".join(map(str, range(21))), "\u200b"],
        "categories_lt": ["Klaida"],
        "question5_de": ["x" * 121],
        "rating": ["made up", "x" * 5_000],
        "name_field": ["made up", ""],
        "thanks_url": ["http://shop.example", "javascript:alert(1)", "https://", "https://u:p@x.example/"],
        "network_hourly": ["0", "-1", "1.5", "many", "9" * 90],
        "notifies": ["made up"],
        "recipients": ["0", "999", "x"],
    }  # fmt: skip
    token = dashboard.read("/admin/forms/new").fields["csrf_token"]
    for name, values in bad.items():
        for value in values:
            typed = {**SHOP, "csrf_token": token, "categories_de": "", name: value}
            answer = dashboard.post("/admin/forms/new", data=typed, headers={"Referer": dashboard.site})
            assert (answer.status_code, errors(answer)) == (422, [name]), (name, value[:50])
    answer = send(dashboard, **{**SHOP, "notifies": "chosen"})
    assert errors(answer) == ["recipients"]
    answer = send(dashboard, **{**SHOP, "name": "", "intro_en": "Mine"})
    assert Page(answer).fields["intro_en"] == "Mine"
    answer = send(dashboard, **{**SHOP, "intro_en": "x" * 10_000_000})
    assert answer.status_code == 413
    assert forms() == []


def test_a_taken_address_and_a_hundred_forms_are_the_end(dashboard: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    own_form()
    assert errors(send(dashboard, **SHOP)) == ["key"]
    monkeypatch.setattr(site_forms, "MOST", 1)
    answer = send(dashboard, **{**SHOP, "key": "other"})
    assert "Delete one first" in Page(answer).alert
    assert len(forms()) == 1


def test_html_and_direction_marks_in_words_change_nothing_around_them(dashboard: Visitor) -> None:
    typed = {"name": f"{RLO}<b>x", "title_en": "<script>alert(1)</script>", "categories_en": f"{RLO}a\n<i>",
             "question1_en": "\"><img>"}  # fmt: skip
    assert send(dashboard, **{**SHOP, **typed, "categories_de": ""}).status_code == 303
    for address in ("/admin/forms", "/admin/forms/shop", "/feedback/shop/"):
        answer = dashboard.get(address)
        assert answer.status_code == 200
        for raw in ("<b>x", "<script>alert", "<i>", '"><img>'):
            assert raw not in answer.text
    assert f"\u2068{RLO}" in dashboard.get("/admin/forms").text.replace("&lt;", "<")


def test_the_preview_shows_what_is_typed_and_stores_nothing(dashboard: Visitor) -> None:
    answer = send(dashboard, **SHOP, preview="1", preview_language="de")
    page = Page(answer)
    assert answer.status_code == 200
    shown = page.one(id="form-preview").words
    assert "Wie war es?" in shown
    assert "Fehler" in shown
    assert page.fields["title_en"] == "How was it?"
    data = {**SHOP, "csrf_token": page.fields["csrf_token"], "preview_language": "en", "intro_en": "x" * 2_000}
    told = dashboard.post("/admin/forms/preview", data=data, headers={"Referer": dashboard.site}).get_json()
    assert (told["title"], told["button"]) == ("How was it?", "Go")
    names = [field["name"] for field in told["fields"]]
    assert names == ["rating", "category", "content", "answer_1", "email"]
    assert [choice["symbol"] for choice in told["fields"][0]["choices"]] == ["★"] * 5
    assert forms() == []


def test_a_closed_form_opens_again_and_a_deleted_one_leaves_its_messages(dashboard: Visitor, app: Flask) -> None:
    own_form()
    message = receive(form_key="shop").id
    for action, status in {"close": 410, "open": 200, "delete": 404}.items():
        assert press(dashboard, f"/admin/forms/shop/{action}").location == "/admin/forms"
        assert Visitor(app).get("/feedback/shop/").status_code == status
    assert dashboard.get(f"/admin/messages/{message}").status_code == 200
    assert db.session.get_one(Message, message).form_key == "shop"
    for action in ("close", "open", "delete"):
        assert press(dashboard, f"/admin/forms/nowhere/{action}").status_code == 404


def test_the_default_form_can_be_changed_and_goes_back_to_the_settings(dashboard: Visitor, app: Flask) -> None:
    assert send(dashboard, f"/admin/forms/{DEFAULT_KEY}", title_en="Mine", name_field="optional").status_code == 303
    visitor = Visitor(app)
    assert visitor.read("/feedback/").one("h1").words == "Mine"
    assert visitor.send("/feedback/", content="Hi").location == "/feedback/complete/"
    assert db.session.scalars(select(Message.form_key)).one() is None
    press(dashboard, f"/admin/forms/{DEFAULT_KEY}/delete")
    assert Visitor(app).read("/feedback/").one("h1").words == "Tell us what you think"


def test_only_the_chosen_administrators_are_kept(dashboard: Visitor, staff: User) -> None:
    send(dashboard, **SHOP, notifies="chosen", recipients=str(staff.id))
    assert site_forms.recipients("shop") == [staff.id]
    send(dashboard, "/admin/forms/shop", notifies="all")
    assert site_forms.recipients("shop") is None


def test_the_limits_of_the_site_hold_for_each_form_without_its_own(dashboard: Visitor) -> None:
    own_form(notify_daily=7)
    token = dashboard.read("/admin/forms").fields["csrf_token"]
    limits = {"network_hourly": "200", "total_hourly": "5000", "notify_daily": "50", "csrf_token": token}
    headers = {"Referer": dashboard.site}
    assert dashboard.post("/admin/forms/limits", data=limits, headers=headers).status_code == 303
    for key, daily in {DEFAULT_KEY: 50, "shop": 7}.items():
        form = site_forms.find(key)
        assert form
        assert (form.limits.network_hourly, form.limits.total_hourly, form.limits.notify_daily) == (200, 5000, daily)
    answer = dashboard.post("/admin/forms/limits", data={**limits, "total_hourly": "0"}, headers=headers)
    assert errors(answer) == ["total_hourly"]
    dashboard.post("/admin/forms/limits", data={"csrf_token": token, "notify_daily": ""}, headers=headers)
    assert db.session.scalar(select(SiteLimit)) is None
