"""admin/tags.py and assignments.py: tags typed on a message's page, shown and filtered by, and its assignee."""

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from feedback_push.auth import accounts, audit
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import personal_data, tags
from feedback_push.feedback.models import Assignment, Message, MessageState, MessageTag, Tag
from tests.admin.test_messages import names
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.visits import Page, Visitor

RLO = "\u202e"


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(make_user("staff@example.org").email, PASSWORD)
    return visitor


def send(visitor: Visitor, address: str, **typed: str) -> Page:
    """Send a form of the dashboard and return the page that follows, or the one that refuses it."""
    token = visitor.read("/admin/tags").fields["csrf_token"]
    data = {"csrf_token": token, **typed}
    answer = visitor.post(address, data=data, headers={"Referer": visitor.site})
    if answer.status_code == 422:
        return Page(answer)
    assert answer.status_code == 303
    return visitor.read(answer.location)


def tagged(page: Page) -> list[str]:
    return [button.attributes["value"] for button in page.all("button", name="tag")]


def refused(page: Page) -> tuple[str, str]:
    """Return the typed text and the reason; the field has the focus."""
    assert page.status == 422
    field = page.one("input", id="tag")
    assert "autofocus" in field.attributes
    return field.attributes["value"], page.one(id=field.attributes["aria-describedby"]).words


@pytest.mark.usefixtures("any_app")
def test_a_typed_tag_is_on_the_message_in_the_list_and_filters_it(visitor: Visitor) -> None:
    message, other = receive(submitter_name="Ada"), receive(submitter_name="Bob")
    page = send(visitor, f"/admin/messages/{message.id}/tags?q=hello", tag=" Bug report,#urgent,  bug  REPORT ")
    assert tagged(page) == ["Bug report", "urgent"]
    assert page.one("a", rel="prev").attributes["href"].endswith("?q=hello")
    send(visitor, f"/admin/messages/{other.id}/tags", tag="URGENT")
    page = visitor.read("/admin/")
    assert [element.words for element in page.all("p", class_="tags")] == ["urgent", "Bug report urgent"]
    assert names(visitor.read("/admin/?tag=BUG+report")) == ["Ada"]
    assert names(visitor.read("/admin/?tag=urgent&q=bob")) == ["Bob"]
    assert names(visitor.read("/admin/?tag=bug")) == []
    page = visitor.read("/admin/?tag=urgent")
    assert page.one("input", type="hidden", name="tag").attributes["value"] == "urgent"
    assert page.one("span", class_="pill new", id="unread").words
    assert [row["tags"] for row in visitor.get("/admin/messages.json?tag=bug+report").get_json()] == [
        ["Bug report", "urgent"]
    ]


def test_names_are_read_without_anything_invisible_and_in_one_normal_form() -> None:
    assert tags.read("Cafe\u0301, CAF\u00c9") == ["Caf\u00e9"]
    assert tags.read(f"{RLO}gpj.exe\u2069,a\tb\u200bc,\u2800,#,##C#,") == ["gpj.exe", "a bc", "C#"]
    assert tags.read("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645") == [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    ]
    assert tags.read("x" * 40) == ["x" * 40]
    with pytest.raises(ValueError, match="x"):
        tags.read("x" * 41)
    assert len(tags.read("a\u0301\u0323," * 100_000)) == 1
    assert len(tags.key("\u0390" * 1_000)) <= 120


def test_a_message_has_a_limited_number_of_tags_and_so_has_the_site(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = receive()
    address = f"/admin/messages/{message.id}/tags"
    send(visitor, address, tag=",".join(f"tag {number}" for number in range(20)))
    page = send(visitor, address, tag="one more")
    assert len(tagged(page)) == 20
    assert refused(page) == ("one more", "A message has at most 20 tags.")
    monkeypatch.setattr(tags, "MOST", 20)
    page = send(visitor, f"/admin/messages/{receive().id}/tags", tag="tag 1, one more")
    assert tagged(page) == []
    assert refused(page) == ("tag 1, one more", "There are 20 tags already. Remove one first.")
    page = send(visitor, address, tag="x" * 41)
    assert refused(page) == ("x" * 41, "A tag has at most 40 characters.")
    assert db.session.scalar(select(func.count()).select_from(Tag)) == 20


@pytest.mark.usefixtures("any_app")
def test_a_tag_that_no_message_has_is_removed(visitor: Visitor) -> None:
    first, second = receive(submitter_email="ada@example.org"), receive()
    for message in (first, second):
        send(visitor, f"/admin/messages/{message.id}/tags", tag="Ada's")
    send(visitor, f"/admin/messages/{second.id}/tags", tag="once")
    for tag in ("ada's", "once"):
        page = send(visitor, f"/admin/messages/{second.id}/tags/remove", tag=tag)
    assert (tagged(page), tags.names()) == ([], ["Ada's"])
    assert [each["tags"] for each in personal_data.messages("ada@example.org")] == [["Ada's"]]
    assert personal_data.erase_some("ada@example.org") == 1
    db.session.commit()
    assert (tags.names(), db.session.scalars(select(MessageTag.tag_id)).all()) == ([], [])
    send(visitor, f"/admin/messages/{second.id}/tags", tag="left over")
    db.session.execute(delete(Message))
    db.session.commit()
    tags.remove_tags_of_removed_messages(utcnow())
    db.session.commit()
    assert tags.names() == []


@pytest.mark.usefixtures("any_app")
def test_a_tag_is_renamed_joined_and_removed_everywhere(visitor: Visitor) -> None:
    first, second = receive(), receive(state=MessageState.ARCHIVED)
    send(visitor, f"/admin/messages/{first.id}/tags", tag="bug, crash")
    send(visitor, f"/admin/messages/{second.id}/tags", tag="crash")
    ids = dict(db.session.execute(select(Tag.name, Tag.id)).all())
    page = send(visitor, f"/admin/tags/{ids['crash']}/rename", name="Crash")
    assert page.one(id="tags").words.count("Crash 2 messages") == 1
    for name, reason in {
        "a, b": "Please enter one name only; a comma ends a tag.",
        " ": "Please enter a name.",
        "x" * 41: "A tag has at most 40 characters.",
    }.items():
        assert send(visitor, f"/admin/tags/{ids['crash']}/rename", name=name).alert == reason
    page = send(visitor, f"/admin/tags/{ids['crash']}/rename", name="BUG")
    assert tags.names() == ["bug"]
    for message in (first, second):
        assert tagged(visitor.read(f"/admin/messages/{message.id}")) == ["bug"]
    page = send(visitor, f"/admin/tags/{ids['bug']}/remove")
    assert page.one(id="empty").words.startswith("No tags yet")
    labels = [audit.label(entry) for entry in audit.page().entries if entry.event.startswith("tag-")]
    assert labels == [
        "Removed the tag “bug” from all messages",
        "Renamed the tag “Crash” to “BUG”",
        "Renamed the tag “crash” to “Crash”",
    ]


@pytest.mark.usefixtures("any_app")
def test_a_message_is_assigned_until_the_account_is_deleted(visitor: Visitor) -> None:
    mine, theirs, nobodys = (receive(submitter_name=name) for name in ("Mine", "Theirs", "Nobody's"))
    colleague = make_user("colleague@example.org")
    staff = accounts.find("staff@example.org")
    assert staff
    page = send(visitor, f"/admin/messages/{mine.id}/assign", assignee=str(staff.id))
    assert page.one("select", name="assignee").attributes["value"] == str(staff.id)
    send(visitor, f"/admin/messages/{theirs.id}/assign", assignee=str(staff.id))
    send(visitor, f"/admin/messages/{theirs.id}/assign", assignee=str(colleague.id))
    send(visitor, f"/admin/messages/{nobodys.id}/assign", assignee=str(staff.id))
    send(visitor, f"/admin/messages/{nobodys.id}/assign", assignee="")
    assert names(visitor.read("/admin/?assigned=me")) == ["Mine"]
    assert len(names(visitor.read("/admin/?assigned=nobody+else"))) == 3
    assert [row["assigned_to"] for row in visitor.get("/admin/messages.json").get_json()] == [
        *(None, "colleague@example.org", "staff@example.org"),
    ]
    account = personal_data.account("staff@example.org")
    assert account
    assert account["assigned_messages"] == [mine.id]
    accounts.delete(colleague)
    db.session.commit()
    assert db.session.scalars(select(Assignment.message_id)).all() == [mine.id]
    assert visitor.read(f"/admin/messages/{theirs.id}").one("select", name="assignee").attributes["value"] == ""
    token = visitor.read("/admin/tags").fields["csrf_token"]
    for value, status in {"4711": 404, "x": 400, str(2**70): 400}.items():
        data = {"csrf_token": token, "assignee": value}
        answer = visitor.post(f"/admin/messages/{mine.id}/assign", data=data, headers={"Referer": visitor.site})
        assert answer.status_code == status, value


def test_other_messages_from_the_same_address_are_listed_with_their_number(visitor: Visitor) -> None:
    message = receive(content="First", submitter_email="ada@example.org")
    assert visitor.read(f"/admin/messages/{message.id}").all(id="others") == []
    for number in range(6):
        receive(content=f"More {number}", submitter_email="Ada@Example.ORG ", state=MessageState.ARCHIVED)
    receive(content="Not theirs", submitter_email="xada@example.org")
    page = visitor.read(f"/admin/messages/{message.id}")
    shown = page.one(id="others").words
    assert [f"More {number}" in shown for number in range(6)] == [False, True, True, True, True, True]
    assert shown.count("Archived") == 5
    assert page.one(id="others-title").words == "Other messages with this e-mail address 6"
    assert names(visitor.read("/admin/?person=ada@example.org&list=archived")) == ["Ada"] * 6
    anonymous = [receive() for _ in range(2)]
    assert visitor.read(f"/admin/messages/{anonymous[0].id}").all(id="others") == []


def test_hostile_tags_stay_text(dashboard: Visitor, staff: User) -> None:
    message = receive()
    send(dashboard, f"/admin/messages/{message.id}/tags", tag='"><script>alert(1)</script>')
    for address in (
        f"/admin/messages/{message.id}",
        "/admin/",
        "/admin/tags",
        "/admin/?tag=%3Cscript%3E&person=%3Cb%3E",
    ):
        text = dashboard.get(address).text
        assert "<script>" not in text
        assert "<b>" not in text
