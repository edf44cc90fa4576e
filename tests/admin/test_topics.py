"""admin/topics.py: topics are added, changed, ordered and deleted, and every mistake is named."""

import io
import zlib

import pytest

from feedback_push.admin.topic_forms import suggested_slug
from feedback_push.auth import audit
from feedback_push.database import db, utcnow
from feedback_push.topics import broadcasts, topics
from feedback_push.topics.models import Topic
from tests.push.devices import visitors
from tests.topics.followed import DRAFT, fanned_out, new_topic, started
from tests.visits import Page, Visitor

HOSTILE = "<script>alert(1)</script>\u202e\"'>"
PNG = b"\x89PNG\r\n\x1a\n" + zlib.compress(b"a picture")


def send(dashboard: Visitor, address: str, /, *, page: str = "/admin/tags", **typed: object) -> Page:
    """Send a form of the dashboard, and return the page that refuses it, or the one that follows."""
    token = dashboard.read(page).fields["csrf_token"]
    answer = dashboard.post(address, data={"csrf_token": token, **typed}, headers={"Referer": dashboard.site})
    if answer.status_code == 422:
        return Page(answer)
    assert answer.status_code == 303, answer.text
    return dashboard.read(answer.location)


def only_topic() -> Topic:
    db.session.expire_all()
    [topic] = topics.everything()
    return topic


def errors(page: Page) -> list[str]:
    return [element.words for element in page.all("p", class_="error")]


def test_a_topic_needs_only_a_name(dashboard: Visitor) -> None:
    page = send(dashboard, "/admin/topics", name=" Tricks & Köder ", feed_url="https://example.org/feed")
    assert page.one("h1").words == "Tricks & Köder"
    topic = only_topic()
    usual = (topic.slug, topic.is_public, topic.cap_count, topic.cap_days, topic.pause_after)
    assert usual == ("tricks-koder", True, 0, 7, 20)
    assert page.one(id="follow-url").words == "http://127.0.0.1:8000/follow/tricks-koder"
    assert audit.label(audit.page().entries[0]) == "Created the topic “Tricks & Köder”"
    send(dashboard, "/admin/topics", name="Tricks & Koder")
    listed = dashboard.read("/admin/topics").one(id="topics").words
    assert listed.index("Tricks & Köder") < listed.index("Tricks & Koder")
    assert topics.find("tricks-koder-2")


def test_a_slug_is_made_from_any_name() -> None:
    made = {
        "Äpfel & Birnen": "apfel-birnen",
        "Straße": "strasse",
        "Ąžuolas": "azuolas",
        "Новости": "topic",
        "": "topic",
    }
    assert {name: suggested_slug(name) for name in made} == made
    assert all(topics.is_slug(suggested_slug(name)) for name in ("x" * 100, "-" * 100, "a " * 60, "\u0345" * 9))


def test_what_is_typed_wrongly_is_named_and_kept(dashboard: Visitor) -> None:
    new_topic("taken")
    wrong = {"name": "Näme", "slug": "taken", "description": "d" * 501, "cap_count": "many", "cap_days": "0"}
    page = send(dashboard, "/admin/topics", **wrong, pause_after="-1", visibility="nobody")
    assert page.alert
    assert [text.split(".")[0] for text in errors(page)] == [
        "Another topic has this address",
        "Please use at most 500 characters",
        "Please choose from the list",
        "Please enter a number",
        "Please enter a number from 1 to 365",
        "Please enter a number from 0 to 1000",
    ]
    assert (page.fields["name"], page.fields["slug"], page.fields["cap_count"]) == ("Näme", "taken", "many")
    for slug in ("Upper", "a--b", "über", "a/b", "x" * 65):
        assert len(errors(send(dashboard, "/admin/topics", name="Name", slug=slug))) == 1, slug
    assert errors(send(dashboard, "/admin/topics", name=" \u200b ")) == ["Please enter a name."]
    assert only_topic().slug == "taken"


def test_a_slug_that_is_taken_at_the_same_moment_is_refused_too(
    dashboard: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_topic("taken"), new_topic("mine")
    monkeypatch.setattr(topics, "find", lambda slug: topics.find_all([slug])[0] if slug == "mine" else None)
    assert errors(send(dashboard, "/admin/topics", name="Name", slug="taken")) == ["Another topic has this address."]
    page = send(dashboard, "/admin/topics/mine/edit", name="Name", slug="taken")
    assert errors(page) == ["Another topic has this address."]
    assert page.fields["name"] == "Name"


def test_a_site_has_a_hundred_topics_at_most(dashboard: Visitor) -> None:
    for number in range(topics.MOST_TOPICS):
        topics.add(slug=f"topic-{number}", name="Topic")
    db.session.commit()
    page = send(dashboard, "/admin/topics", name="One more")
    assert page.alert == "There are 100 topics already. Delete one first."
    assert page.fields["name"] == "One more"
    assert dashboard.read("/admin/topics").all(id="new") == []


def test_a_topic_is_changed_and_hidden(dashboard: Visitor) -> None:
    new_topic("tricks", description="Old")
    page = dashboard.read("/admin/topics/tricks/edit")
    assert (page.fields["slug"], page.fields["description"]) == ("tricks", "Old")
    changes = {"name": "New", "slug": "new", "description": "", "visibility": "hidden", "cap_count": "2"}
    page = send(dashboard, "/admin/topics/tricks/edit", **{**page.fields, **changes})
    assert page.one(role="status").words == "The topic is saved."
    topic = only_topic()
    assert (topic.name, topic.slug, topic.description, topic.is_public) == ("New", "new", "", False)
    assert "at most 2 broadcasts a day" in page.one(id="about").words
    assert dashboard.get("/admin/topics/tricks").status_code == 404
    assert dashboard.read("/admin/topics/new/edit").one("input", value="hidden").attributes.keys() >= {"checked"}


def test_topics_are_moved_and_the_focus_stays_on_the_button(dashboard: Visitor) -> None:
    new_topic("a"), new_topic("b"), new_topic("c")
    for slug, direction, order in (("c", "up", "acb"), ("a", "up", "acb"), ("a", "down", "cab"), ("b", "down", "cab")):
        page = send(dashboard, f"/admin/topics/{slug}/move", direction=direction)
        db.session.expire_all()
        assert "".join(topic.slug for topic in topics.everything()) == order
        focused = [button for button in page.all("button", name="direction") if "autofocus" in button.attributes]
        assert focused
        assert all(f"“{slug.upper()}”" in button.attributes["aria-label"] for button in focused)


def test_an_icon_is_a_small_picture_whatever_its_name_says(dashboard: Visitor) -> None:
    new_topic("tricks")
    address = "/admin/topics/tricks/icon"
    wrong = {
        "This file is not a PNG, WebP or JPEG picture.": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "The picture has more than 64 kB. Please choose a smaller one.": PNG + bytes(64 * 1024),
        "Please choose a picture.": b"",
    }
    for problem, content in wrong.items():
        page = send(dashboard, address, icon=(io.BytesIO(content), "icon.png", "image/png"))
        assert page.one(id="icon-error").words == problem
    assert dashboard.get(address).status_code == 404
    kinds = {"image/png": PNG, "image/jpeg": b"\xff\xd8\xff\xe0", "image/webp": b"RIFF\x10\0\0\0WEBPVP8 "}
    for media_type, content in kinds.items():
        send(dashboard, address, icon=(io.BytesIO(content), "evil.svg", "image/svg+xml"))
        answer = dashboard.get(address)
        assert (answer.content_type, answer.data) == (media_type, content)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    send(dashboard, address, remove="1")
    assert dashboard.get(address).status_code == 404


def test_a_topic_is_deleted_after_a_confirmation_with_what_it_was_sending(dashboard: Visitor) -> None:
    topic = new_topic("tricks", *visitors(2))
    assert fanned_out(started(topic))
    page = dashboard.read("/admin/topics/tricks")
    assert "open" not in page.one("details", id="delete").attributes
    assert send(dashboard, "/admin/topics/tricks/delete").one(role="status").words == "The topic is deleted."
    assert dashboard.get("/admin/topics/tricks").status_code == 404
    assert dashboard.read("/admin/topics").all(id="topics") == []
    assert audit.label(audit.page().entries[0]) == "Deleted the topic “Tricks”"
    topics.delete_removed(utcnow())
    db.session.commit()
    assert db.session.query(Topic).count() == 0


def test_a_topics_history_has_pages_and_its_waiting_broadcasts_come_first(dashboard: Visitor) -> None:
    topic = new_topic("tricks")
    for number in range(30):
        started(topic, DRAFT._replace(title=f"Number {number}."))
    broadcasts.add(topic, DRAFT._replace(title="A draft"))
    db.session.commit()
    page = dashboard.read("/admin/topics/tricks")
    assert page.one(id="waiting").words.startswith("A draft Draft")
    shown = page.one(id="broadcasts").words
    assert ["Number 29." in shown, "Number 5." in shown, "Number 4." in shown] == [True, True, False]
    older = dashboard.read(page.one("a", rel="next").attributes["href"])
    assert "Number 4." in older.one(id="broadcasts").words
    assert older.all("a", rel="next") == older.all(id="waiting") == []


def test_hostile_texts_of_topics_and_broadcasts_stay_text(dashboard: Visitor) -> None:
    topic = new_topic("tricks", description=HOSTILE)
    topic.name = HOSTILE
    draft = DRAFT._replace(title=HOSTILE, body=HOSTILE + "\u202e" * 400)
    waits, sent = broadcasts.add(topic, draft), started(topic, draft)
    for address in (
        *("/admin/topics", "/admin/topics/tricks", "/admin/topics/tricks/edit", "/admin/topics/tricks/broadcasts/new"),
        *(f"/admin/broadcasts/{sent.id}", f"/admin/broadcasts/{waits.id}", f"/admin/broadcasts/{waits.id}/edit"),
    ):
        text = dashboard.get(address).text
        assert "<script>alert" not in text, address
        assert "&lt;script&gt;alert(1)" in text, address
        for title in Page(dashboard.get(address)).all("title"):
            assert title.raw.count("\u202e") <= title.raw.count("\u2069"), address
