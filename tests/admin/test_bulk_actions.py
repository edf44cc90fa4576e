"""admin/bulk_actions.py: the buttons change the messages, the next page reports it, and Undo reverts it."""

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from feedback_push.auth import audit
from feedback_push.database import db, utcnow
from feedback_push.feedback import undo as undo_rows
from feedback_push.feedback.models import Message, MessageState, Undo
from tests.conftest import PASSWORD, make_user
from tests.crossing import cross
from tests.feedback.messages import message, receive
from tests.published import PublishedTasks
from tests.visits import Page, Visitor


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(make_user("staff@example.org").email, PASSWORD)
    return visitor


def press(visitor: Visitor, move: str, *ids: int, **more: str) -> TestResponse:
    token = visitor.read("/admin/settings").fields["csrf_token"]
    return visitor.post("/admin/messages/move", data={"csrf_token": token, "move": move, "id": list(ids), **more})


def undo(visitor: Visitor, page: Page) -> TestResponse:
    fields = {name: page.fields[name] for name in ("undo", "csrf_token")}
    return visitor.post("/admin/messages/undo", data={**fields, "back": "/admin/?list=new"})


def notice(page: Page) -> str:
    return " ".join(element.words for element in page.all("form", class_="notice undo"))


def noted() -> list[tuple[str, int]]:
    """Return the audit log's entries about messages, oldest first; all must name the visitor."""
    entries = [entry for entry in reversed(audit.page().entries) if entry.event.startswith("messages-")]
    assert {entry.email for entry in entries} == {"staff@example.org"}
    told = [(entry.event, entry.detail["messages"]) for entry in entries]
    db.session.rollback()
    return told


def states() -> list[str | None]:
    rows = db.session.execute(select(Message.state, Message.deleted_at).order_by(Message.id)).all()
    db.session.rollback()
    return [None if row.deleted_at else str(row.state) for row in rows]


def test_only_the_latest_action_is_reported_and_can_be_undone(visitor: Visitor) -> None:
    sent = receive().id
    token = visitor.read("/admin/settings").fields["csrf_token"]
    for action in ("archive", "inbox", "spam"):
        visitor.post("/admin/messages/move", data={"csrf_token": token, "move": action, "id": sent})
    page = visitor.read("/admin/")
    assert notice(page) == "1 message moved to spam. Undo"
    undo(visitor, page)
    assert states() == ["read"]


@pytest.mark.usefixtures("any_app")
def test_several_are_deleted_at_once_and_undo_brings_them_back(visitor: Visitor) -> None:
    ids = [receive().id, receive(state=MessageState.READ).id, receive().id]
    answer = press(visitor, "delete", *ids[:2], back="/admin/?q=hello")
    assert (answer.status_code, answer.location) == (303, "/admin/?q=hello")
    assert states() == [None, None, "new"]
    page = visitor.read("/admin/")
    assert notice(page) == "2 messages deleted. Undo"
    assert len(page.all("a", class_="row-link")) == 1
    assert visitor.get(f"/admin/messages/{ids[0]}").status_code == 404
    assert notice(visitor.read("/admin/")) == ""
    answer = undo(visitor, page)
    assert (answer.status_code, answer.location) == (303, "/admin/?list=new")
    assert states() == ["new", "read", "new"]
    assert notice(visitor.read("/admin/")) == "The action was undone."


def test_a_message_that_is_no_spam_notifies(visitor: Visitor, published: PublishedTasks) -> None:
    spam = message(state=MessageState.SPAM, spam_reason="links")
    db.session.add(spam)
    db.session.commit()
    assert press(visitor, "not-spam", spam.id).status_code == 303
    db.session.refresh(spam)
    assert published.next() == ("push.fan_out", [spam.outbox_id])
    assert notice(visitor.read("/admin/")) == "1 message marked as not spam. Undo"


def test_after_archiving_the_next_message_opens_but_after_unread_the_list(visitor: Visitor) -> None:
    ids = [receive(content="hello").id for _ in range(3)]
    page = visitor.read(f"/admin/messages/{ids[1]}?q=hello")
    links = {link.attributes["rel"]: link.attributes["href"] for link in page.all("a") if "rel" in link.attributes}
    assert links == {"prev": f"/admin/messages/{ids[2]}?q=hello", "next": f"/admin/messages/{ids[0]}?q=hello"}
    [form] = page.all("form", class_="bulk-actions reading")
    fields = {name: page.fields[name] for name in ("csrf_token", "id", "next", "back")}
    unread = visitor.post(form.attributes["action"], data={**fields, "move": "unread"})
    assert unread.location == "/admin/?q=hello"
    archived = visitor.post(form.attributes["action"], data={**fields, "move": "archive"})
    assert archived.location == links["next"]
    assert states() == ["new", "archived", "new"]
    oldest = visitor.read(f"/admin/messages/{ids[0]}?q=hello")
    assert oldest.fields["next"] == f"/admin/messages/{ids[2]}?q=hello"


@pytest.mark.parametrize(
    ("place", "offered"),
    [
        ("", {"archive", "read", "unread", "answered", "spam", "delete"}),
        ("answered", {"archive", "inbox", "spam", "delete"}),
        ("archived", {"inbox", "answered", "spam", "delete"}),
        ("spam", {"not-spam", "delete"}),
    ],
)
def test_each_list_offers_what_can_be_done_there(dashboard: Visitor, place: str, offered: set[str]) -> None:
    page = dashboard.read(f"/admin/?list={place}")
    assert {button.attributes["value"] for button in page.all("button", name="move")} == offered


def test_invented_actions_and_ids_do_no_harm(dashboard: Visitor) -> None:
    kept = receive().id
    for move in ("", "nothing", "\0"):
        assert press(dashboard, move, kept).status_code == 400
    token = dashboard.read("/admin/").fields["csrf_token"]
    made_up = {"csrf_token": token, "move": "delete", "id": ["", "x", "-1", str(2**63), "9" * 40]}
    assert dashboard.post("/admin/messages/move", data=made_up).status_code == 303
    assert notice(dashboard.read("/admin/")) == "No message was selected."
    for undo_ in ("", "made.up", "W10.x"):
        assert dashboard.post("/admin/messages/undo", data={"csrf_token": token, "undo": undo_}).status_code == 400
    assert states() == ["new"]


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", ""])
def test_a_bulk_action_redirects_within_the_site(dashboard: Visitor, elsewhere: str) -> None:
    assert press(dashboard, "archive", receive().id, back=elsewhere, next=elsewhere).location == "/admin/"


def test_all_of_a_page_can_be_selected_without_a_script(dashboard: Visitor) -> None:
    receive()
    page = dashboard.read("/admin/")
    assert page.all("input", name="id", checked="") == []
    selected = dashboard.read(page.one(id="select-all").attributes["href"])
    assert len(selected.all("input", name="id", checked="")) == 1
    assert selected.one(id="selected").words == "1 selected"
    assert selected.one(id="clear").attributes["href"] == "/admin/"


def test_a_deletion_is_in_the_log(visitor: Visitor) -> None:
    ids = [receive(submitter_name=name).id for name in ("Ada", "Bob", "Cid")]
    for move, chosen in (("delete", ids[:2]), ("delete", ids[:2]), ("archive", ids[2:])):
        press(visitor, move, *chosen)
    assert noted() == [("messages-deleted", 2)]


def test_the_undo_of_a_deletion_is_in_the_log_once(visitor: Visitor) -> None:
    ids = [receive().id for _ in range(3)]
    press(visitor, "delete", *ids[:2])
    page = visitor.read("/admin/")
    for _ in range(2):
        undo(visitor, page)
    assert noted() == [("messages-deleted", 2), ("messages-restored", 2)]


def test_moves_into_and_out_of_spam_are_in_the_log(visitor: Visitor) -> None:
    ids = [receive().id for _ in range(3)]
    press(visitor, "spam", *ids)
    undo(visitor, visitor.read("/admin/"))
    press(visitor, "spam", *ids)
    press(visitor, "not-spam", *ids[:1])
    undo(visitor, visitor.read("/admin/"))
    told = [("into-spam", 3), ("out-of-spam", 3), ("into-spam", 3), ("out-of-spam", 1), ("into-spam", 1)]
    assert noted() == [(f"messages-{way}", count) for way, count in told]


def test_an_action_on_too_many_messages_has_no_undo(visitor: Visitor) -> None:
    few = [receive().id for _ in range(200)]
    press(visitor, "archive", *few)
    assert "undo" in visitor.read("/admin/").fields
    press(visitor, "inbox", *few, receive(state=MessageState.ARCHIVED).id)
    page = visitor.read("/admin/")
    assert notice(page) == "201 messages moved to the inbox."
    assert "undo" not in page.fields


def test_an_undo_works_once_in_its_own_session_and_for_an_hour(app: Flask, visitor: Visitor) -> None:
    def refused(who: Visitor, page: Page) -> bool:
        before = states()
        token = who.read("/admin/settings").fields["csrf_token"]
        form = {"csrf_token": token, "undo": page.fields["undo"], "back": "/admin/"}
        assert who.post("/admin/messages/undo", data=form).status_code == 303
        told = notice(who.read("/admin/"))
        assert told == "The action was undone." or told.startswith("Nothing was changed: ")
        return told != "The action was undone." and states() == before

    other = Visitor(app)
    other.sign_in("staff@example.org", PASSWORD)
    ids = [receive().id, receive().id]
    press(visitor, "delete", ids[0])
    page = visitor.read("/admin/")
    assert refused(other, page)
    assert not refused(visitor, page)
    press(visitor, "archive", ids[0])
    assert refused(visitor, page)
    press(visitor, "delete", ids[1])
    page = visitor.read("/admin/")
    db.session.execute(update(Undo).values(expires_at=utcnow()))
    db.session.commit()
    assert refused(visitor, page)
    assert states() == ["archived", None]
    undo_rows.forget_expired(utcnow())
    db.session.commit()
    assert db.session.query(Undo).count() == 0
    press(visitor, "inbox", ids[0])
    assert db.session.query(Undo).count() == 1
    visitor.sign_out()
    assert db.session.query(Undo).count() == 0


def test_of_two_undos_at_once_one_is_refused(any_app: Flask, visitor: Visitor) -> None:
    press(visitor, "delete", receive().id)
    page = visitor.read("/admin/")
    first, second = cross(any_app, lambda: undo(visitor, page), "FROM feedback_undo", lambda: undo(visitor, page))
    assert [first.status_code, second.status_code] == [303, 303]
    assert noted() == [("messages-deleted", 1), ("messages-restored", 1)]


def test_a_session_keeps_its_latest_undos(app: Flask, visitor: Visitor) -> None:
    some = receive().id
    for move in ["archive", "inbox"] * 11:
        press(visitor, move, some)
    assert db.session.query(Undo).count() == 20
