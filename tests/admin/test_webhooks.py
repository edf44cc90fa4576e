"""admin/webhooks.py: targets are added after a fresh sign-in, tested, paused and deleted; no secret is shown again."""

import re
from collections.abc import Iterator

import pytest

from feedback_push.auth import audit
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations
from feedback_push.feedback.form_models import Form
from feedback_push.webhooks import apprise_service, targets
from feedback_push.webhooks.models import Delivery, PauseReason, Target, TargetKind, Wanted
from tests.admin.test_fresh_authentication import grow_old
from tests.admin.test_topics import errors
from tests.conftest import PASSWORD
from tests.doubles.webhook_receiver import Reply, WebhookReceiver
from tests.feedback.messages import own_form, receive
from tests.visitors.conversations import begun, conversation_of
from tests.visits import Page, Visit, Visitor
from tests.webhooks.receivers import new_target
from tests.webhooks.receivers import send as send_due

SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")
PLACE = "/admin/webhooks"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def send(dashboard: Visitor, address: str, **typed: object) -> Page:
    """Send a form of the dashboard, and return its answer or the page that follows."""
    token = dashboard.read("/admin/tags").fields["csrf_token"]
    answer = dashboard.post(address, data={"csrf_token": token, **typed}, headers={"Referer": dashboard.site})
    return dashboard.read(answer.location) if answer.status_code == 303 else Page(answer)


def add(dashboard: Visitor, url: str, **changed: object) -> Page:
    form = {"name": "Tickets", "kind": "webhook", "url": url, "wanted": "every"}
    return send(dashboard, PLACE, **{**form, **changed})


def words(page: Page) -> str:
    return page.one("main").words


def only_target() -> Target:
    db.session.expire_all()
    return db.session.query(Target).one()


def test_a_webhook_is_added_tested_and_deleted_and_its_secret_is_shown_once(
    dashboard: Visitor, receiver: WebhookReceiver
) -> None:
    page = add(dashboard, f"{receiver.url}/a-secret-path?token=secret")
    receiver.secrets.append(page.one(id="secret").words)
    assert SECRET.fullmatch(receiver.secrets[0])
    target = only_target()
    assert (target.name, target.wanted, target.takes_alarms, target.form_keys) == (
        "Tickets",
        Wanted.EVERY,
        False,
        None,
    )
    address = f"{PLACE}/{target.id}"
    for path in (PLACE, address, f"{address}/events"):
        shown = dashboard.get(path).text
        assert "secret-path" not in shown
        assert not SECRET.search(shown)
    assert receiver.url in dashboard.read(PLACE).one(id="targets").words
    receiver.answer("/a-secret-path", Reply(418, b"I am <b>a teapot</b>"))
    page = send(dashboard, f"{address}/test")
    assert receiver.requests == []  # no request of a browser waits for another server
    assert "Test Queued Send again Waiting to be sent." in page.one(id="events").words
    assert "data-moving" in dashboard.get(f"{address}/events").text
    send_due()
    assert receiver.requests[0].is_genuine
    page = dashboard.read(address)
    assert "Failed Send again It did not accept the event. (418 I am <b>a teapot</b>)" in page.one(id="events").words
    again = db.session.query(Delivery).one()
    send(dashboard, f"{PLACE}/events/{again.id}/send")
    send_due()
    assert "200 thanks" in dashboard.read(address).one(id="events").words
    assert receiver.requests[0].id == receiver.requests[1].id
    new = send(dashboard, f"{address}/secret").one(id="secret").words
    assert SECRET.fullmatch(new)
    assert new not in receiver.secrets
    assert "The webhook “Tickets” is deleted." in words(send(dashboard, f"{address}/remove"))
    assert db.session.query(Target).count() == 0
    assert [audit.label(entry) for entry in audit.page().entries[:3]] == [
        "Deleted the webhook “Tickets”",
        "Replaced the secret of the webhook “Tickets”",
        f"Added the webhook “Tickets” to {receiver.url}",
    ]


def test_every_mistake_is_named_and_nothing_is_stored(dashboard: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://example.org/hook"
    own_form()
    for changed, problem in (
        ({"name": " "}, "Please enter a name."),
        ({"name": "x" * 61}, "Please use at most 60 characters."),
        ({"url": ""}, "Please enter an address."),
        ({"url": "ftp://example.org/"}, "Please enter a web address."),
        ({"url": f"{url}{'x' * 2000}"}, "Please use at most 2,000 characters."),
        ({"wanted": "none", "wanted_replies": "none"}, "Please choose at least one kind of event."),
        ({"wanted_replies": "sometimes"}, "Not a valid choice"),
        ({"wanted": "all"}, "Not a valid choice"),
        ({"kind": "apprise"}, None),
        ({"kind": "apprise", "url": "slack"}, "Please enter an address of Apprise, such as slack://…"),
        ({"forms": ["nothing"]}, "valid choice"),
    ):
        page = add(dashboard, **({"url": url} | changed))
        if problem is None:
            assert page.status == 200
            targets.remove(only_target())
            db.session.commit()
            continue
        assert page.status == 422, changed
        assert problem in " ".join(errors(page)), changed
    monkeypatch.setattr(apprise_service, "find_spec", lambda _: None)
    page = add(dashboard, "slack://a/b/c", kind="apprise")
    assert "install feedback-push[apprise] first" in " ".join(errors(page))
    assert db.session.query(Target).count() == 0
    monkeypatch.setattr(targets, "MOST", 0)
    assert "You have 0 webhooks already" in add(dashboard, url).one("p", role="alert").words


def test_an_address_in_a_private_network_needs_the_operator(visit: Visit, settings: Settings, staff: object) -> None:
    site = visit(push_allow_private_addresses=False, webhook_private_hosts=("n8n.internal",))
    site.sign_in("staff@example.org", PASSWORD)
    for url, problem in (
        ("http://127.0.0.1:5678/", "add its host to WEBHOOK_PRIVATE_HOSTS"),
        ("http://example.org/", "begins with https://"),
    ):
        assert problem in " ".join(errors(add(site, url)))
    assert add(site, "http://n8n.internal:5678/hook").status == 200


def test_the_events_of_a_webhook_can_be_changed(dashboard: Visitor) -> None:
    own_form()
    target = new_target(url="https://example.org/", name="<b>Tick\u202eets</b>")
    address = f"{PLACE}/{target.id}"
    page = dashboard.read(address)
    assert page.fields["name"] == "<b>Tick\u202eets</b>"
    chosen = {"wanted": "unseen", "wanted_replies": "every", "takes_notifications": "y", "takes_alarms": "y"}
    page = send(dashboard, f"{address}/change", name="Shop", forms=["shop"], **chosen)
    assert "The webhook is saved." in words(page)
    row = only_target()
    assert (row.name, row.wanted, row.form_keys, row.takes_alarms) == ("Shop", Wanted.UNSEEN, ["shop"], True)
    assert (row.wanted_replies, row.takes_notifications) == (Wanted.EVERY, True)
    listed = "Messages that nobody has seen · Every reply · Shop · Notifications of programs · Alarms"
    assert listed in dashboard.read(PLACE).one(id="targets").words
    nothing = {"wanted": "none", "wanted_replies": "none"}
    assert send(dashboard, f"{address}/change", name="Shop", **nothing).status == 422
    db.session.query(Form).delete()
    db.session.commit()
    assert dashboard.read(address).one("input", name="forms", value="shop")  # or saving would choose all forms


def test_a_message_shows_its_webhooks_and_why_one_was_not_sent(dashboard: Visitor, receiver: WebhookReceiver) -> None:
    assert dashboard.read(f"/admin/messages/{receive().id}").all(id="webhooks") == []
    new_target(receiver, "/hook", name="Tickets")
    new_target(receiver, "/other", name="Chat", wanted=Wanted.UNSEEN)
    message = receive()
    receiver.answer("/hook", Reply(503, b"later"))
    send_due()
    address = f"/admin/messages/{message.id}"
    shown = dashboard.read(address).one(id="webhooks").words
    assert "Tickets Not yet sent Send again It did not accept the event. (503 later) Next try" in shown
    assert "1 try so far." in shown
    assert "Chat Queued Send again It is sent if nobody has seen the message by" in shown
    first = db.session.query(Delivery).order_by(Delivery.id).first()
    assert first
    page = send(dashboard, f"{PLACE}/events/{first.id}/send", on="message")
    assert page.one(id="webhooks")
    send_due()
    assert "Tickets Sent" in dashboard.read(f"{address}/webhooks").one(id="webhooks").words


def test_a_message_shows_the_webhooks_of_its_replies_and_a_webhook_leads_to_the_message(dashboard: Visitor) -> None:
    target = new_target(url="https://example.org/", name="Tickets", wanted=Wanted.NONE, wanted_replies=Wanted.UNSEEN)
    message, _ = begun()
    conversations.write_again(conversation_of(message.id), "It still does.", notify=True)
    db.session.commit()
    shown = dashboard.read(f"/admin/messages/{message.id}").one(id="webhooks").words
    assert "Tickets · Unseen reply Queued Send again It is sent if nobody has seen the reply by" in shown
    assert dashboard.read(f"{PLACE}/{target.id}").one("a", href=f"/admin/messages/{message.id}")
    sent = send(dashboard, f"{PLACE}/events/{db.session.query(Delivery).one().id}/send")
    assert "New reply" in sent.one(id="events").words


def test_a_paused_webhook_is_on_every_page_until_it_is_resumed(dashboard: Visitor, receiver: WebhookReceiver) -> None:
    target = new_target(receiver, name="Tickets")
    receive()
    targets.pause(target, PauseReason.GONE, utcnow())
    db.session.commit()
    address = f"{PLACE}/{target.id}"
    notice = "The webhook “Tickets” is paused, because it does not work any more."
    assert notice in words(dashboard.read("/admin/"))
    page = dashboard.read(address)
    assert "it has answered that it is gone for good" in page.one(id="paused").words
    assert "It waits, because the webhook is paused." in page.one(id="events").words
    send(dashboard, f"{address}/test")
    assert db.session.query(Delivery).count() == 1  # it would only wait
    send(dashboard, f"{address}/resume")
    assert notice not in words(dashboard.read("/admin/"))
    send_due()
    assert len(receiver.requests) == 1
    send(dashboard, f"{address}/pause")
    assert only_target().pause_reason == PauseReason.OWNER
    assert notice not in words(dashboard.read("/admin/"))  # as its owner wants it


def test_without_a_fresh_proof_no_webhook_is_added_and_no_address_is_kept(dashboard: Visitor) -> None:
    target = new_target(url="https://example.org/")
    assert dashboard.read(PLACE).one("input", name="url")
    grow_old()
    page = dashboard.read(PLACE)
    assert page.all("input", name="url") == []
    link = page.one("a", class_="answer").attributes["href"]
    asked = dashboard.get(link)
    assert (asked.status_code, asked.location) == (303, "/login/confirm?next=/admin/webhooks/new")
    before = db.session.get_one(Target, target.id).secret
    add(dashboard, "https://example.org/a-secret-path")
    with dashboard.session_transaction(base_url=dashboard.site) as session:
        assert "admin.add_webhook" in str(dict(session))
        assert "a-secret-path" not in str(dict(session))
    send(dashboard, f"{PLACE}/{target.id}/secret")
    assert (db.session.query(Target).count(), only_target().secret) == (1, before)
    dashboard.send(asked.location or "", password=PASSWORD)
    assert dashboard.read(link).one("input", name="url")


def test_an_apprise_address_is_stored_encrypted_and_only_its_service_is_shown(dashboard: Visitor) -> None:
    page = add(dashboard, "slack://TokenA/TokenB/TokenC", kind="apprise")
    assert page.all(id="secret") == []
    target = only_target()
    assert (target.kind, target.place) == (TargetKind.APPRISE, "slack:")
    assert "Token" not in target.url
    assert "Token" not in dashboard.get(f"{PLACE}/{target.id}").text
    assert send(dashboard, f"{PLACE}/{target.id}/secret").status == 404
