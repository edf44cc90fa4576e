"""The answers to forms in the dashboard: shown, filtered by, searched for, exported, and erased with their person."""

import csv
import io
import json
import re
from zipfile import ZipFile

from flask import Flask

from feedback_push.feedback import lists, personal_data
from feedback_push.feedback.form_models import DEFAULT_KEY, RatingScale
from feedback_push.feedback.lists import Filter
from feedback_push.feedback.models import Message
from tests.admin.test_messages import names
from tests.feedback.messages import own_form, receive
from tests.visits import Page, Visitor

PAGE = "https://shop.example/cart"
ANSWERED = {
    "form_key": "shop",
    "category": "Bug",
    "rating": "4",
    "page_url": PAGE,
    "page_title": "=The cart",
    "viewport": "390x844",
    "language": "de-AT",
    "answers": [{"question": "Why?", "answer": "Because\nI say so"}],
}


def two_messages() -> Message:
    own_form(categories=[{"en": "Bug"}, {"en": "Praise"}], rating=RatingScale.STARS)
    receive(submitter_name="Plain")
    return receive(submitter_name="Full", submitter_email="full@example.org", **ANSWERED)


def test_each_answer_is_shown_and_filters_the_inbox(dashboard: Visitor) -> None:
    message = two_messages()
    page = dashboard.read(f"/admin/messages/{message.id}")
    shown = page.one("article").words
    for text in ("4 of 5", "Bug", "Shop", "=The cart", "Why?", "Because I say so", "844, language: de-AT"):
        assert text in shown
    assert page.one("a", href=PAGE).attributes["rel"] == "noopener noreferrer nofollow"
    assert names(dashboard.read("/admin/")) == ["Full", "Plain"]
    assert [stars.attributes["aria-label"] for stars in dashboard.read("/admin/").all("span", class_="stars")] == [
        "4 of 5"
    ]
    for query in (
        "form=shop",
        "category=Bug",
        "rating=4",
        f"page={PAGE}",
        "q=because",
        "form=shop&rating=4&category=Bug",
    ):
        found = dashboard.read(f"/admin/?list=all&{query}")
        assert names(found) == ["Full"], query
    assert names(dashboard.read(f"/admin/?form={DEFAULT_KEY}")) == ["Plain"]
    for query in ("form=thumbs", "category=bug", "rating=5", "page=https://shop.example/", "q=thumbs"):
        assert names(dashboard.read(f"/admin/?{query}")) == [], query
    for made_up in ("form=%00", "form=../x", "rating=6", "rating=x", f"form={'x' * 500}"):
        assert names(dashboard.read(f"/admin/?{made_up}")) == ["Full", "Plain"], made_up
    told = dashboard.get("/admin/news?after=0").get_json()["messages"][0]["about"]
    assert (told["rating"], told["symbols"], len(told["pills"])) == ("4 of 5", "★★★★☆", 2)


def test_the_filter_can_be_chosen_in_the_inbox_and_is_kept_in_its_links(dashboard: Visitor) -> None:
    two_messages()
    page = dashboard.read("/admin/?form=shop&category=Bug&rating=4")
    assert {name: page.fields[name] for name in ("form", "category", "rating")} == {
        "form": "shop",
        "category": "Bug",
        "rating": "4",
    }
    [export] = [link.attributes["href"] for link in page.all("a") if ".csv" in link.attributes.get("href", "")]
    assert {"form=shop", "category=Bug", "rating=4"} <= set(export.partition("?")[2].split("&"))
    assert (
        "Form: \u2068Shop\u2069" in page.one("div", class_="narrowed").words
        or "Form:" in page.one("div", class_="narrowed").words
    )


def test_all_exports_have_the_answers_and_none_runs_as_a_formula(dashboard: Visitor) -> None:
    two_messages()
    text = dashboard.get("/admin/messages.csv").text.removeprefix("\ufeff")
    row = next(csv.DictReader(io.StringIO(text)))
    assert (row["form"], row["category"], row["rating"], row["page_url"]) == ("shop", "Bug", "4", PAGE)
    assert (row["page_title"], row["answers"]) == ("'=The cart", "Why?\nBecause\nI say so")
    found = json.loads(dashboard.get("/admin/messages.json").text)
    assert [each["form"] for each in found] == ["shop", DEFAULT_KEY]
    assert (found[0]["answers"], found[1]["answers"]) == (ANSWERED["answers"], [])
    with ZipFile(io.BytesIO(dashboard.get("/admin/messages.xlsx").data)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    texts = re.findall(r"<t[^>]*>([^<]*)</t>", sheet)
    assert {"shop", DEFAULT_KEY, "Bug", "4", PAGE, "=The cart", "Why?\nBecause\nI say so"} <= set(texts)


def test_a_persons_export_has_the_answers_and_erasing_leaves_nothing(any_app: Flask) -> None:
    two_messages()
    with any_app.test_request_context():
        [told] = personal_data.messages("full@example.org")
    assert {name: told[name] for name in ANSWERED} == ANSWERED
    assert personal_data.erase_some("full@example.org") == 1
    assert [row.submitter_name for row in lists.page(Filter()).messages] == ["Plain"]


def test_a_rating_and_a_title_cannot_leave_their_place(dashboard: Visitor) -> None:
    message = receive(
        category="\u202e<b>", page_title="<script>x", page_url=PAGE, answers=[{"question": "<i>", "answer": "<u>"}]
    )
    text = dashboard.get(f"/admin/messages/{message.id}").text
    assert not [raw for raw in ("<b>", "<script>x", "<i>", "<u>") if raw in text]
    assert "\u2068\u202e" in Page(dashboard.get("/admin/")).one("p", class_="tags about").raw
