"""Topics as Atom feeds: valid, stable, cacheable, and all that strangers typed is text."""

from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

from feedback_push.database import db, utcnow
from feedback_push.topics import topics
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.models import Broadcast
from feedback_push.visitors import follow
from tests.topics.followed import new_topic, started
from tests.visits import Visit, Visitor

NAMES = {"a": "http://www.w3.org/2005/Atom"}
HOSTILE = "<script>alert(1)</script> & ]]> \0\x08\x1b\ufffe\uffff \u202eevil \"'"


def feed(visitor: Visitor, slug: str = "tricks") -> ET.Element:
    answer = visitor.get(f"/follow/{slug}.atom")
    assert (answer.status_code, answer.mimetype) == (200, "application/atom+xml")
    return ET.fromstring(answer.data)  # noqa: S314 - our own document


def texts(element: ET.Element, path: str) -> list[str | None]:
    return [found.text for found in element.findall(path, NAMES)]


def links(element: ET.Element, rel: str) -> list[str | None]:
    return [link.get("href") for link in element.findall(f"a:link[@rel='{rel}']", NAMES)]


def test_a_feed_has_all_that_the_standard_requires(client: Visitor) -> None:
    topic = new_topic("tricks", description="One a day")
    [title], [subtitle], [author] = (
        texts(feed(client), f"a:{name}") for name in ("title", "subtitle", "author/a:name")
    )
    assert (title, subtitle, author) == ("Tricks · Feedback Push", "One a day", "Feedback Push")
    assert texts(feed(client), "a:updated") == [topic.created_at.isoformat(timespec="seconds")]
    started(topic, Draft("First", "The text", "https://example.org/1", "https://example.org/a.png"))
    last = started(topic, Draft("Second"))
    read = feed(client)
    assert links(read, "self") == [f"{client.site}/follow/tricks.atom"]
    assert links(read, "alternate") == [f"{client.site}/follow/tricks"]
    assert texts(read, "a:entry/a:title") == ["Second", "First"]
    second, first = read.findall("a:entry", NAMES)
    assert texts(first, "a:content") == ["The text"]
    assert links(first, "alternate") == ["https://example.org/1"]
    assert links(first, "enclosure") == ["https://example.org/a.png"]
    assert links(second, "alternate") == links(read, "alternate")
    for element in (read, first, second):
        for name in ("id", "title", "updated"):
            assert len(texts(element, f"a:{name}")) == 1
        assert datetime.fromisoformat(str(texts(element, "a:updated")[0])).tzinfo
    assert last.started_at
    assert texts(read, "a:updated") == texts(second, "a:updated") == [last.started_at.isoformat(timespec="seconds")]


def test_ids_stay_when_the_site_moves_and_when_a_topic_gets_another_name(visit: Visit, client: Visitor) -> None:
    topic = new_topic("tricks")
    started(topic)
    before = [*texts(feed(client), "a:id"), *texts(feed(client), "a:entry/a:id")]
    assert len(set(before)) == 2
    topic.slug, topic.name = "moved", "Moved"
    db.session.commit()
    moved = visit(
        site_url="https://other.example.org", database_url=client.application.config["SQLALCHEMY_DATABASE_URI"]
    )
    with moved.application.app_context():
        again = feed(moved, "moved")
        assert links(again, "self") == ["https://other.example.org/follow/moved.atom"]
        assert [*texts(again, "a:id"), *texts(again, "a:entry/a:id")] == before


def test_what_strangers_typed_is_text_and_what_xml_cannot_hold_is_left_out(client: Visitor) -> None:
    topic = new_topic("tricks", description=HOSTILE)
    topic.name = HOSTILE
    started(topic, Draft(f"{HOSTILE}\nnext line", HOSTILE, "https://example.org/\x01?a=<b>&c", ""))
    read = feed(client)
    kept = "<script>alert(1)</script> & ]]>  \u202eevil \"'"
    assert [element.tag for element in read.iter() if "script" in element.tag] == []
    entry = read.find("a:entry", NAMES)
    assert entry is not None
    assert texts(entry, "a:title") == [f"\u2068{kept} next line\u2069"]
    for path in ("a:subtitle", "a:entry/a:content"):
        assert texts(read, path) == [f"\u2068{kept}\u2069"]
    assert links(entry, "alternate") == ["https://example.org/?a=<b>&c"]
    for code in (*range(32), 127, *range(0xD7FF, 0xD800), 0xE000, 0xFFFD, 0x10000, 0x10FFFF):
        topic.description = f"a{chr(code)}b"
        db.session.commit()
        assert str(texts(feed(client), "a:subtitle")[0]).strip("ab") in (chr(code), "", "\n")


def test_a_feed_has_the_last_fifty_started_broadcasts_and_no_draft(client: Visitor) -> None:
    topic, now = new_topic("tricks"), utcnow()
    for number in range(follow.MOST_ENTRIES + 2):
        # The first draft is sent last.
        when = now + timedelta(minutes=number or 1000)
        db.session.add(Broadcast(topic=topic, title=f"Number {number}", started_at=when))
    db.session.add(Broadcast(topic=topic, title="A draft", send_at=now + timedelta(days=1)))
    db.session.commit()
    newest = list(range(follow.MOST_ENTRIES + 1, 2, -1))
    assert texts(feed(client), "a:entry/a:title") == [f"Number {number}" for number in (0, *newest)]


def test_a_reader_that_has_the_feed_gets_304_until_there_is_something_new(client: Visitor) -> None:
    topic = new_topic("tricks")
    started(topic)
    answer = client.get("/follow/tricks.atom")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in answer.headers
    for header, name in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
        again = client.get("/follow/tricks.atom", headers={header: answer.headers[name]})
        assert (again.status_code, again.data) == (304, b"")
    topics.find_all(["tricks"])[0].name = "Another name"
    db.session.commit()
    assert client.get("/follow/tricks.atom", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 200
    started(topic).started_at = utcnow() + timedelta(seconds=5)
    db.session.commit()
    since = {"If-Modified-Since": answer.headers["Last-Modified"]}
    assert client.get("/follow/tricks.atom", headers=since).status_code == 200
