"""admin/compose.py: a broadcast is composed, previewed, tested, kept, scheduled and sent, once for each form."""

from datetime import timedelta

import pytest

from feedback_push.auth import audit
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push.models import OutboxEntry, Priority
from feedback_push.topics import broadcasts
from feedback_push.topics.models import Broadcast, BroadcastState
from tests.admin.rows import device
from tests.admin.test_topics import errors, send
from tests.published import PublishedTasks
from tests.push.devices import visitors
from tests.topics.followed import new_topic, started
from tests.visits import Page, Visitor

ADDRESS = "/admin/topics/tricks/broadcasts"
WORDS = {"title": "A new trick", "body": "It works in every browser.", "url": "https://example.org/tricks/1"}


def stored() -> list[Broadcast]:
    db.session.rollback()
    return db.session.query(Broadcast).order_by(Broadcast.id).all()


def typed_time(days: float) -> str:
    return (utcnow() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M")


def test_a_broadcast_of_three_fields_is_sent_now(dashboard: Visitor, published: PublishedTasks, staff: User) -> None:
    new_topic("tricks", *visitors(2))
    page = send(dashboard, ADDRESS, **WORDS)
    assert page.one("h1").words == "A new trick"
    [broadcast] = stored()
    assert (broadcast.state, broadcast.followers, broadcast.user_id) == (BroadcastState.SENDING, 2, staff.id)
    assert (broadcast.title, broadcast.body, broadcast.url, broadcast.urgency) == (*WORDS.values(), "normal")
    assert published.next() == ("push.fan_out", [broadcast.outbox_id])
    assert audit.label(audit.page().entries[0]) == "Sent “A new trick” to the followers of “Tricks”"


def test_a_form_that_is_sent_twice_sends_one_broadcast(dashboard: Visitor) -> None:
    new_topic("tricks", *visitors(1))
    form = {**dashboard.read(f"{ADDRESS}/new").fields, **WORDS}
    first, second = send(dashboard, ADDRESS, **form), send(dashboard, ADDRESS, **{**form, "title": "Again"})
    assert first.one("h1").words == second.one("h1").words == "A new trick"
    assert len(stored()) == 1
    send(dashboard, ADDRESS, **{**dashboard.read(f"{ADDRESS}/new").fields, **WORDS})
    assert len(stored()) == 2
    draft = {"action": "draft", **WORDS}
    send(dashboard, ADDRESS, **draft)
    address = f"/admin/broadcasts/{stored()[-1].id}/edit"
    for _ in range(2):
        send(dashboard, address, **WORDS)
    assert [broadcast.state for broadcast in stored()] == [BroadcastState.SENDING] * 3
    assert db.session.query(OutboxEntry).count() == 3


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_time_is_in_the_administrators_zone_and_within_a_year(dashboard: Visitor, staff: User) -> None:
    new_topic("tricks")
    staff.time_zone = "Asia/Kathmandu"  # 5:45 h ahead of UTC, all year
    db.session.commit()
    wrong = {"This time is in the past.": typed_time(0), "Please choose a time within a year.": typed_time(367)}
    for problem, when in (*wrong.items(), ("Please enter a date and a time.", "soon"), ("Please use at", "x" * 41)):
        page = send(dashboard, ADDRESS, **WORDS, send_at=when, when="at")
        assert [text[: len(problem)] for text in errors(page)] == [problem]
        assert page.fields["title"] == WORDS["title"]
        assert page.one("input", value="at").attributes.keys() >= {"checked"}
    assert stored() == []
    for when, zone in ((typed_time(1), ""), (typed_time(1), "Z")):
        send(dashboard, ADDRESS, **WORDS, send_at=f"{when}{zone}")
    ahead = [broadcast.send_at - utcnow() for broadcast in stored() if broadcast.send_at]
    assert [round(each / timedelta(minutes=5)) for each in ahead] == [219, 288]
    assert {broadcast.state for broadcast in stored()} == {BroadcastState.SCHEDULED}
    assert "Kathmandu" in dashboard.get(f"/admin/broadcasts/{stored()[0].id}/edit").text
    send(dashboard, f"/admin/broadcasts/{stored()[0].id}/edit", **WORDS, when="now", send_at=typed_time(1))
    assert stored()[0].state == BroadcastState.SENDING


def test_what_is_typed_wrongly_is_named_and_kept(dashboard: Visitor) -> None:
    new_topic("tricks")
    refused = (
        *(
            "example.org",
            "/news",
            "//example.org",
            "ftp://example.org",
            "javascript:alert(1)",
            "https://",
            "https:///x",
        ),
        *("https://me@example.org/", "https://example.org\\@evil.example", "https://exa mple.org", "https://a..b/"),
        f"https://example.org/{'ä' * 400}",
    )
    for url in refused:
        page = send(dashboard, ADDRESS, **{**WORDS, "url": url})
        assert errors(page) == ["Please enter a whole address, such as https://example.org/news."], url
        assert page.fields["url"] == url
    wrong = {"title": "t" * 101, "body": "b" * 1001, "image_url": f"https://{'a' * 2000}", "urgency": "now"}
    page = send(dashboard, ADDRESS, **wrong)
    assert [text.partition(".")[0] for text in errors(page)] == [
        "Please use at most 100 characters",
        "Please use at most 1,000 characters",
        "Please use at most 2,000 characters",
        "Please choose from the list",
    ]
    assert errors(send(dashboard, ADDRESS, title="\u200b", body="Text")) == ["Please enter a title."]
    assert stored() == []
    send(dashboard, ADDRESS, **{**WORDS, "url": "HTTPS://Käse.example:443/ä b?q=ü#ß".replace(" ", "+")})
    assert stored()[0].url == "https://xn--kse-qla.example:443/%C3%A4+b?q=%C3%BC#%C3%9F"


def test_the_cap_is_named_before_and_after(dashboard: Visitor) -> None:
    topic = new_topic("tricks", *visitors(1), cap_count=1, cap_days=7)
    assert "limit" not in dashboard.read(f"{ADDRESS}/new").one(id="reach").words
    started(topic)
    assert (
        "The limit of this topic puts the broadcast off until" in dashboard.read(f"{ADDRESS}/new").one(id="reach").words
    )
    page = send(dashboard, ADDRESS, **WORDS)
    assert "puts the broadcast off until" in page.one(role="status").words
    assert stored()[-1].state == BroadcastState.SCHEDULED
    page = send(dashboard, ADDRESS, **WORDS, send_at=typed_time(1))
    assert "puts the broadcast off until" in page.one(id="words").words


def test_the_preview_needs_no_script_and_cuts_as_each_browser_does(dashboard: Visitor) -> None:
    new_topic("tricks")
    flag = "\U0001f1f1\U0001f1f9"
    words = {"title": flag * 50, "body": "word " * 100, "image_url": "https://pictures.example/a.png", "url": "nothing"}
    page = send_preview(dashboard, words)
    titles = [element.words.strip("\u2068\u2069") for element in page.all("p", class_="preview-title")]
    assert titles == [flag * 50, flag * 50, f"{flag * 48}…", f"{flag * 29}…"]
    bodies = [len(element.words.strip("\u2068\u2069")) for element in page.all("p", class_="preview-body")]
    assert [most - 3 <= length <= most for length, most in zip(bodies, (140, 200, 103, 65), strict=True)] == [True] * 4
    pictures = page.all("p", class_="preview-picture")
    assert ["hidden" not in element.attributes for element in pictures] == [True, False, False, True]
    assert "pictures.example" in pictures[0].words
    assert [element for element in page.all("img") if "pictures.example" in element.attributes["src"]] == []
    assert (page.fields["title"], page.fields["url"], stored()) == (words["title"], "nothing", [])


def send_preview(dashboard: Visitor, words: dict[str, str], action: str = "preview") -> Page:
    token = dashboard.read("/admin/tags").fields["csrf_token"]
    form = {"csrf_token": token, "action": action, **words}
    return Page(dashboard.post(ADDRESS, data=form, headers={"Referer": dashboard.site}))


def test_a_test_goes_to_my_own_devices_with_the_real_words(dashboard: Visitor, staff: User) -> None:
    new_topic("tricks", *visitors(1))
    page = send_preview(dashboard, WORDS, "test")
    assert page.one(id="said").words == "None of your devices gets notifications at the moment."
    device(staff), device(staff)
    page = send_preview(dashboard, WORDS, "test")
    assert page.one(id="said").words == "The test is on its way to your 2 devices."
    assert page.fields["title"] == WORDS["title"]
    [entry] = db.session.query(OutboxEntry).all()
    assert (entry.user_id, entry.audience_id, entry.priority) == (staff.id, None, Priority.ALARM)
    assert WORDS["body"] in entry.payload
    assert stored() == []
    assert errors(send(dashboard, ADDRESS, action="test", title="")) == ["Please enter a title."]


def test_a_draft_is_kept_changed_and_discarded(dashboard: Visitor) -> None:
    topic = new_topic("tricks")
    page = send(dashboard, ADDRESS, action="draft", when="at", send_at="2020-01-01T00:00", **WORDS)
    assert page.one(id="state").words == "Draft"
    [draft] = stored()
    page = dashboard.read(f"/admin/broadcasts/{draft.id}/edit")
    assert (page.fields["title"], page.fields["url"]) == (WORDS["title"], WORDS["url"])
    send(dashboard, f"/admin/broadcasts/{draft.id}/edit", action="draft", title="Better")
    assert (stored()[0].title, stored()[0].state) == ("Better", BroadcastState.DRAFT)
    send(dashboard, f"/admin/broadcasts/{draft.id}/discard")
    assert stored() == []
    sent = started(topic)
    send(dashboard, f"/admin/broadcasts/{sent.id}/discard")
    assert len(stored()) == 1
    answer = dashboard.get(f"/admin/broadcasts/{sent.id}/edit")
    assert answer.location == f"/admin/broadcasts/{sent.id}"
    with pytest.raises(broadcasts.NotPossible):
        broadcasts.change(sent, broadcasts.Draft("Too late"), None)
