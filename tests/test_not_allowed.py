"""What if I am not allowed to? Each endpoint has its line in LINES, and is asked by everybody who may not.

A stranger, another administrator, somebody whose session was ended; a wrong CSRF token, method, type or id.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from feedback_push.auth import accounts, sessions, sign_in_links
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import saved_searches, tags, undo
from feedback_push.feedback.models import Reply, Tag
from feedback_push.push import outbox, receipts
from feedback_push.push.models import DeliveryState, Subscription
from tests.admin.rows import delivery, device
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.push.devices import visitors
from tests.push.malformed import GOOD
from tests.visitors.conversations import begun
from tests.visits import Visitor

MARK = "only-for-administrators"  # stands in what is stored, and so in what a stranger must not see
PLACEHOLDER = re.compile(r"\{(\w+)\}")
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


class For(Enum):
    """Whom an endpoint answers, and how it turns others away."""

    EVERYBODY = "everybody"
    DASHBOARD = "administrators; others are led to the sign-in page"
    SCRIPT = "administrators; others get 401 in JSON"


@dataclass(frozen=True)
class Line:
    """How an endpoint is called so that it works. `{message}` and the like stand for ids of what `staff` has.

    `own`: what another administrator must neither see nor change. `changes`: whether the call, made by somebody who
    is allowed to, leaves a trace in the database. `session`: whether it is the session that allows it.
    """

    address: str
    whom: For
    form: dict[str, str] | None = None
    json: dict[str, Any] | None = None
    own: bool = False
    changes: bool = True
    session: bool = True
    works: set[int] = field(default_factory=lambda: {200, 302, 303})


LINES = {
    "GET static": Line("/static/site.css", For.EVERYBODY),
    "GET health.healthz": Line("/healthz", For.EVERYBODY),
    "GET health.readyz": Line("/readyz", For.EVERYBODY, works={503}),  # there is no worker here
    "GET branding.theme": Line("/theme.css", For.EVERYBODY),
    "GET branding.logo": Line("/logo", For.EVERYBODY),
    "GET security_txt.show": Line("/.well-known/security.txt", For.EVERYBODY, works={404}),  # no contact is set here
    "GET feedback.home": Line("/", For.EVERYBODY),
    "GET feedback.form": Line("/feedback/", For.EVERYBODY),
    "POST feedback.form": Line("/feedback/", For.EVERYBODY, form={"content": "Hello", "submitter_name": "Ada"}),
    "GET feedback.challenge": Line("/feedback/challenge", For.EVERYBODY),
    "GET feedback.confirm": Line("/feedback/confirm/", For.EVERYBODY),
    "POST feedback.confirm": Line("/feedback/confirm/", For.EVERYBODY, form={}, changes=False),
    "GET feedback.complete": Line("/feedback/complete/", For.EVERYBODY),
    "GET auth.login": Line("/login", For.EVERYBODY),
    "POST auth.login": Line("/login", For.EVERYBODY, form={"email": "staff@example.org", "password": PASSWORD}),
    "GET auth.login_link": Line("/login/link", For.EVERYBODY),
    "POST auth.show_login_link": Line("/login/link", For.EVERYBODY, form={"token": "{link}"}, changes=False),
    "POST auth.use_login_link": Line("/login/link/use", For.EVERYBODY, form={"token": "{link}"}),
    "POST auth.logout": Line("/logout", For.EVERYBODY, form={}),
    "GET push.key": Line("/push/key", For.SCRIPT),
    "POST push.subscribe": Line("/push/subscribe", For.SCRIPT, json=GOOD),
    "POST push.unsubscribe": Line("/push/unsubscribe", For.SCRIPT, json={"endpoint": "{endpoint}"}, own=True),
    "POST push.test": Line("/push/test", For.SCRIPT, json={"endpoint": "{endpoint}"}, own=True),
    "POST push.receipt": Line(
        "/push/receipt",
        For.EVERYBODY,
        json={"token": "{receipt}", "event": "clicked"},
        session=False,
        works={204},
    ),
    "GET conversations.show": Line("/conversations/{conversation}", For.EVERYBODY),
    "POST conversations.show": Line("/conversations/{conversation}", For.EVERYBODY, form={"content": "Again"}),
    "POST conversations.export": Line("/conversations/{conversation}/export", For.EVERYBODY, form={}, changes=False),
    "POST conversations.erase": Line("/conversations/{conversation}/erase", For.EVERYBODY, form={}, changes=False),
    "POST conversations.end": Line("/conversations/{conversation}/end", For.EVERYBODY, form={}, changes=False),
    "POST conversations.renew": Line("/conversations/{conversation}/renew", For.EVERYBODY, form={}),
    "GET visitor.service_worker": Line("/visitor/sw.js", For.EVERYBODY),
    "GET visitor.manifest": Line("/visitor/manifest.webmanifest", For.EVERYBODY),
    "GET visitor.key": Line("/visitor/push/key", For.EVERYBODY),
    "POST visitor.subscribe": Line(
        "/visitor/push/subscribe",
        For.EVERYBODY,
        json={"subscription": GOOD, "conversations": ["{conversation}"]},
        session=False,
    ),
    "POST visitor.unsubscribe": Line(
        "/visitor/push/unsubscribe", For.EVERYBODY, json={"endpoint": "{visitor}"}, session=False
    ),
    "GET admin.service_worker": Line("/admin/sw.js", For.EVERYBODY),
    "GET admin.subscribe_script": Line("/admin/push-subscribe.js", For.EVERYBODY),
    "GET admin.manifest": Line("/admin/manifest.webmanifest", For.EVERYBODY),
    "GET admin.offline": Line("/admin/offline", For.EVERYBODY),
    "GET admin.inbox": Line("/admin/", For.DASHBOARD),
    "GET admin.news": Line("/admin/news?after=0", For.DASHBOARD),
    "GET admin.export_csv": Line("/admin/messages.csv", For.DASHBOARD),
    "GET admin.export_xlsx": Line("/admin/messages.xlsx", For.DASHBOARD),
    "GET admin.export_json": Line("/admin/messages.json", For.DASHBOARD),
    "POST admin.apply_bulk_action": Line(
        "/admin/messages/move", For.DASHBOARD, form={"id": "{message}", "move": "archive"}
    ),
    "POST admin.undo": Line("/admin/messages/undo", For.DASHBOARD, form={"undo": "{undo}"}),
    "GET admin.message": Line("/admin/messages/{message}", For.DASHBOARD),
    "GET admin.message_history": Line("/admin/messages/{message}/history", For.DASHBOARD),
    "GET admin.reply_history": Line("/admin/messages/{message}/replies/{reply}/history", For.DASHBOARD),
    "POST admin.reply": Line("/admin/messages/{message}/reply", For.DASHBOARD, form={"content": MARK}),
    "POST admin.add_tags": Line("/admin/messages/{message}/tags", For.DASHBOARD, form={"tag": "another"}),
    "POST admin.take_off_tag": Line("/admin/messages/{message}/tags/remove", For.DASHBOARD, form={"tag": MARK}),
    "POST admin.assign_message": Line("/admin/messages/{message}/assign", For.DASHBOARD, form={"assignee": "{user}"}),
    "GET admin.tags": Line("/admin/tags", For.DASHBOARD),
    "POST admin.rename_tag": Line("/admin/tags/{tag}/rename", For.DASHBOARD, form={"name": "x"}),
    "POST admin.remove_tag": Line("/admin/tags/{tag}/remove", For.DASHBOARD, form={}),
    "POST admin.save_search": Line("/admin/searches?q=x", For.DASHBOARD, form={"name": "x"}),
    "POST admin.remove_search": Line("/admin/searches/{search}/remove", For.DASHBOARD, form={}, own=True),
    "GET admin.devices": Line("/admin/devices", For.DASHBOARD, own=True),
    "POST admin.show_qr_code": Line("/admin/devices", For.DASHBOARD, form={}),
    "GET admin.settings": Line("/admin/settings", For.DASHBOARD),
    "POST admin.settings": Line("/admin/settings", For.DASHBOARD, form={}),
    "GET admin.show_test": Line("/admin/devices/tests/{test}.json", For.DASHBOARD, own=True),
    "POST admin.test_device": Line("/admin/devices/{device}/test", For.DASHBOARD, form={}, own=True),
    "POST admin.rename_device": Line("/admin/devices/{device}/rename", For.DASHBOARD, form={"name": "x"}, own=True),
    "POST admin.pause_device": Line("/admin/devices/{device}/pause", For.DASHBOARD, form={}, own=True),
    "POST admin.resume_device": Line("/admin/devices/{device}/resume", For.DASHBOARD, form={}, own=True, changes=False),
    "GET admin.resume": Line("/admin/resume", For.DASHBOARD),
    "GET admin.account": Line("/admin/account", For.DASHBOARD, own=True),
    "POST admin.change_password": Line(
        "/admin/account/password",
        For.DASHBOARD,
        form={"current": PASSWORD, "new": "battery staple", "again": "battery staple"},
    ),
    "POST admin.end_session": Line("/admin/account/sessions/{session}/end", For.DASHBOARD, form={}, own=True),
    "POST admin.end_other_sessions": Line("/admin/account/sessions/end-others", For.DASHBOARD, form={}),
    "GET admin.audit": Line("/admin/audit", For.DASHBOARD),
    "POST admin.remove_device": Line("/admin/devices/{device}/remove", For.DASHBOARD, form={}, own=True),
}
CLOSED = [name for name, line in LINES.items() if line.whom != For.EVERYBODY]
SENDING = [name for name in LINES if not name.startswith("GET ")]


@dataclass
class Place:
    """A site with what `staff` has there."""

    app: Flask
    staff: User
    ids: dict[str, str]

    def fill(self, template: str) -> str:
        return PLACEHOLDER.sub(lambda match: self.ids[match[1]], template)


class Caller(Visitor):
    """Calls endpoints with any headers, bodies and methods."""

    def token(self) -> str:
        return str(self.read("/feedback/").fields["csrf_token"])

    def call(self, place: Place, name: str, *, token: str | None = "", **more: Any) -> TestResponse:
        """Call an endpoint as its line says, with a token of this session unless another is given, or none."""
        method, line = name.split(" ", 1)[0], LINES[name]
        if method == "GET":
            return self.get(place.fill(line.address), **more)
        if token == "":
            token = self.token()
        headers = {"Referer": self.site, **({"X-CSRFToken": token} if token is not None else {})}
        if not more:
            more = (
                {"json": json.loads(place.fill(json.dumps(line.json)))}
                if line.json
                else {"data": filled(place, line.form)}
            )
        return self.open(place.fill(line.address), method=method, headers=headers, **more)


def filled(place: Place, form: dict[str, str] | None) -> dict[str, str] | None:
    return form and {name: place.fill(value) for name, value in form.items()}


@pytest.fixture
def place(app: Flask, staff: User) -> Place:
    return place_of(app, staff)


def place_of(app: Flask, staff: User) -> Place:
    message = receive(content=f"{MARK} content", submitter_name="Ada")
    phone = device(staff, endpoint=f"https://fcm.googleapis.com/fcm/send/{MARK}")
    sent = delivery(message, phone, state=DeliveryState.ACCEPTED, accepted_at=utcnow())
    test = outbox.enqueue_test(phone)
    db.session.commit()
    receipt = receipts.token(sent.id, receipts.signing_key(app.extensions["settings"].secret_key))
    sessions.begin(staff, browser=MARK, remembered=False)
    db.session.commit()
    [session] = sessions.of(staff)
    _, conversation = begun(content="for the visitor too")
    tags.add(message.id, [MARK])
    reply = Reply(message_id=message.id, is_answer=True, content=MARK)
    db.session.add(reply)
    db.session.flush()
    saved_searches.save(staff, MARK, {"q": MARK})
    ids = {
        "message": message.id,
        "reply": reply.id,
        "device": phone.id,
        "endpoint": phone.endpoint,
        "receipt": receipt,
        "session": session.id,
        "test": test.id,
        "user": staff.id,
        "conversation": conversation,
        "visitor": db.session.get_one(Subscription, visitors(1)[0]).endpoint,
        "tag": db.session.scalars(select(Tag.id)).one(),
        "search": saved_searches.of(staff)[0].id,
        "undo": undo.keep([("read", None, [message.id])], session.id),
        "link": sign_in_links.make(staff).partition("#")[2],
    }
    db.session.commit()
    return Place(app, staff, {name: str(value) for name, value in ids.items()})


@pytest.fixture
def stranger(app: Flask) -> Caller:
    return Caller(app)


@pytest.fixture
def owner(app: Flask, place: Place) -> Caller:
    caller = signed_in(app, place.staff.email)
    newest, *_ = sessions.of(place.staff)
    place.ids["undo"] = str(undo.keep([("read", None, [int(place.ids["message"])])], newest.id))
    db.session.commit()
    return caller


@pytest.fixture
def colleague(app: Flask, place: Place) -> Caller:
    return signed_in(app, make_user("colleague@example.org").email)


def signed_in(app: Flask, email: str) -> Caller:
    caller = Caller(app)
    assert caller.sign_in(email, PASSWORD).status_code == 303
    return caller


def stored() -> dict[str, list[Any]]:
    """All that the database holds."""
    db.session.rollback()
    return {table.name: list(db.session.execute(table.select())) for table in db.metadata.sorted_tables}


def restore(before: dict[str, list[Any]]) -> None:
    """Make the database hold this and nothing else."""
    db.session.rollback()
    for table in reversed(db.metadata.sorted_tables):
        db.session.execute(table.delete())
    for table in db.metadata.sorted_tables:
        if rows := [row._asdict() for row in before[table.name]]:
            db.session.execute(table.insert(), rows)
    db.session.commit()


def still_signed_in(caller: Caller, email: str) -> Caller:
    """Return somebody who is signed in: the caller, unless the session has ended."""
    return caller if caller.signed_in() else signed_in(caller.application, email)


def endpoints(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        yield from (f"{method} {rule.endpoint}" for method in sorted((rule.methods or set()) & METHODS))


def turned_away(name: str, answer: TestResponse) -> None:
    assert MARK not in answer.text
    if LINES[name].whom == For.SCRIPT:
        assert (answer.status_code, list(answer.get_json())) == (401, ["error"])
    else:
        assert answer.status_code in (302, 303)
        assert answer.location.startswith("/login")


def test_every_endpoint_says_here_whom_it_is_for(app: Flask) -> None:
    assert sorted(set(endpoints(app)) ^ set(LINES)) == []


def test_whoever_is_allowed_to_can(place: Place, owner: Caller) -> None:
    beginning = stored()
    for name, line in LINES.items():
        caller = owner if line.whom != For.EVERYBODY else Caller(place.app)
        if name == "POST auth.logout":
            caller = signed_in(place.app, place.staff.email)
        before = stored()
        answer = caller.call(place, name)
        assert answer.status_code in line.works, name
        assert not (answer.location or "").startswith("/login") or name == "POST auth.logout", name
        if name in SENDING:
            assert (stored() != before) is line.changes, name
        restore(beginning)
        owner = still_signed_in(owner, place.staff.email)


def test_a_stranger_sees_and_changes_nothing(place: Place) -> None:
    before = stored()
    for name in [*CLOSED, *(name for name in LINES if name not in CLOSED)]:
        answer = Caller(place.app).call(place, name)
        assert MARK not in answer.text, name
        if name in CLOSED:
            turned_away(name, answer)
            assert stored() == before, name


def test_an_ended_session_is_no_session(place: Place, owner: Caller) -> None:
    token = owner.token()
    accounts.set_password(place.staff, "another good password")
    db.session.commit()
    before = stored()
    for name in CLOSED:
        turned_away(name, owner.call(place, name, token=token))
        assert stored() == before, name


def test_what_is_somebodys_own_is_not_another_administrators(place: Place, colleague: Caller) -> None:
    before = stored()
    for name in [name for name in CLOSED if LINES[name].own]:
        answer = colleague.call(place, name)
        assert answer.status_code < 500, name
        assert not (answer.location or "").startswith("/login"), name
        assert MARK not in answer.text, name
        assert stored() == before, name


def test_what_is_for_all_administrators_is_for_each(place: Place, colleague: Caller) -> None:
    before = stored()
    for name in [name for name in CLOSED if not LINES[name].own]:
        answer = colleague.call(place, name)
        assert answer.status_code in LINES[name].works, name
        assert not (answer.location or "").startswith("/login"), name
        restore(before)
        colleague = still_signed_in(colleague, "colleague@example.org")


def test_without_a_token_of_this_very_session_nothing_happens(place: Place, owner: Caller, colleague: Caller) -> None:
    owner.token()
    others = colleague.token()
    before = stored()
    for name in [name for name in SENDING if LINES[name].session]:
        for token in (None, "made up", others):
            answer = owner.call(place, name, token=token)
            assert answer.status_code == 400, (name, token)
            assert MARK not in answer.text, (name, token)
        assert stored() == before, name
    assert owner.signed_in()


def test_another_method_is_refused(place: Place, owner: Caller) -> None:
    headers = {"X-CSRFToken": owner.token(), "Referer": owner.site}
    before = stored()
    for name, line in LINES.items():
        allowed = {other.split(" ", 1)[0] for other in LINES if LINES[other].address == line.address}
        for method in sorted(METHODS - allowed):
            answer = owner.open(place.fill(line.address), method=method, headers=headers)
            assert answer.status_code == 405, (name, method)
        assert stored() == before, name


WRONG_BODIES: dict[str, dict[str, Any]] = {
    "text": {"data": "content", "content_type": "text/plain"},
    "XML": {"data": "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>", "content_type": "text/xml"},
    "bytes": {"data": b"\xff\x00", "content_type": "application/octet-stream"},
    "broken multipart": {"data": b"--x\r\nnonsense", "content_type": "multipart/form-data; boundary=x"},
    "JSON": {"json": {"content": ["a list"], "endpoint": {"an": "object"}, "email": 7}},
    "null": {"data": "null", "content_type": "application/json"},
    "a number": {"data": "1e999", "content_type": "application/json"},
    "form": {"data": {"endpoint": "x", "content": "", "email": ""}},
    "files": {
        "data": b'--x\r\nContent-Disposition: form-data; name="content"; filename="x"\r\n\r\nx\r\n--x--\r\n',
        "content_type": "multipart/form-data; boundary=x",
    },
}


def test_a_body_of_another_type_is_refused(place: Place, owner: Caller, stranger: Caller) -> None:
    before = stored()
    for name in [name for name in SENDING if LINES[name].form != {}]:
        caller = owner if name in CLOSED else stranger
        for kind, body in WRONG_BODIES.items():
            answer = caller.call(place, name, **body)
            assert 400 <= answer.status_code < 500, (name, kind)
            assert stored() == before, (name, kind)
    assert owner.signed_in()


def test_an_id_that_is_none_finds_nothing(place: Place, owner: Caller) -> None:
    before = stored()
    for name in [name for name in CLOSED if PLACEHOLDER.search(LINES[name].address)]:
        for value in ("0", "-1", "x", "1.5", "1e3", "9" * 19, "9" * 40, "%00", "..%2f1", "%"):
            answer = owner.call(Place(place.app, place.staff, dict.fromkeys(place.ids, value)), name)
            assert answer.status_code in (404, 303, 302), (name, value)
            assert not (answer.location or "").startswith("/login"), (name, value)
            assert stored() == before, (name, value)
