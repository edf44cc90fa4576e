"""What if I am not allowed to? Each endpoint has its line in LINES, and is asked by everybody who may not.

A stranger, a member, another administrator, somebody whose session was ended; a wrong CSRF token, method, type or id.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from feedback_push.alarms import drills
from feedback_push.auth import accounts, api_keys, invitations, notices, reset_links, sessions, sign_in_links
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.models import ApiKey, Invitation, Notice, NoticeEvent, Role, User
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import notes, saved_searches, tags, undo
from feedback_push.feedback.models import Reply, Tag
from feedback_push.push import outbox, receipts
from feedback_push.push.models import DeliveryState, Subscription
from feedback_push.push.notification import API, Notification
from feedback_push.topics import broadcasts, feeds
from feedback_push.webhooks import deliveries
from tests import servers
from tests.admin.rows import delivery, device
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import confirmation_token, in_spam, own_form, receive
from tests.push.devices import visitors
from tests.push.malformed import GOOD
from tests.topics.followed import DRAFT, new_topic, started
from tests.visitors.conversations import begun
from tests.visits import Page, Visitor
from tests.webhooks.receivers import new_target

MARK = "only-for-administrators"  # stands in what is stored, and so in what a stranger must not see
PLACEHOLDER = re.compile(r"\{(\w+)\}")
MEMBER = "member@example.org"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


class For(Enum):
    """Whom an endpoint answers, and how it turns others away."""

    EVERYBODY = "everybody"
    DASHBOARD = "administrators of both roles; others are led to the sign-in page"
    OWNER = "owners; members get 403 in words, and others are led to the sign-in page"
    SCRIPT = "administrators; others get 401 in JSON"
    PROGRAM = "programs with a key of an administrator; others get 401 in problem details"


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


TO_SIGN_IN = {  # nobody waits for a factor here
    *("POST auth.logout", "GET auth.factor", "POST auth.factor", "POST auth.accept_invitation", "POST auth.use_reset")
}
NEW_PASSWORD = {"password": "battery staple", "again": "battery staple"}
FORM = {"name": MARK, "name_field": "off", "email_field": "off", "rating": "none", "notifies": "all"} | {
    "preview_language": "en"
}
LINES = {
    "GET static": Line("/static/site.css", For.EVERYBODY),
    "GET health.healthz": Line("/healthz", For.EVERYBODY),
    "GET health.readyz": Line("/readyz", For.EVERYBODY, works={503}),  # there is no worker here
    "GET monitoring.metrics": Line("/metrics", For.EVERYBODY, works={404}),  # no token is set here
    "GET branding.theme": Line("/theme.css", For.EVERYBODY),
    "GET branding.logo": Line("/logo", For.EVERYBODY),
    "GET security_txt.show": Line("/.well-known/security.txt", For.EVERYBODY, works={404}),  # no contact is set here
    "GET feedback.home": Line("/", For.EVERYBODY),
    "GET feedback.form": Line("/feedback/", For.EVERYBODY),
    "POST feedback.form": Line("/feedback/", For.EVERYBODY, form={"content": "Hello", "submitter_name": "Ada"}),
    "GET feedback.own_form": Line("/feedback/{form}/", For.EVERYBODY),
    "POST feedback.own_form": Line("/feedback/{form}/", For.EVERYBODY, form={"content": "Hello"}),
    "GET plain_form.show": Line("/f/{form}", For.EVERYBODY),
    "POST plain_form.receive": Line("/f/{form}", For.EVERYBODY, form={"content": "Hello"}, session=False),
    "GET plain_form.confirm": Line("/f/{form}/confirm/{plain}", For.EVERYBODY),
    "POST plain_form.confirm": Line("/f/{form}/confirm/{plain}", For.EVERYBODY, form={}, session=False),
    "GET plain_form.complete": Line("/f/{form}/complete/{plain}", For.EVERYBODY),
    "GET feedback.challenge": Line("/feedback/challenge", For.EVERYBODY),
    "GET feedback.confirm": Line("/feedback/confirm/", For.EVERYBODY),
    "POST feedback.confirm": Line("/feedback/confirm/", For.EVERYBODY, form={}, changes=False),
    "GET feedback.complete": Line("/feedback/complete/", For.EVERYBODY),
    "GET auth.login": Line("/login", For.EVERYBODY),
    "POST auth.login": Line("/login", For.EVERYBODY, form={"email": "staff@example.org", "password": PASSWORD}),
    "GET auth.login_link": Line("/login/link", For.EVERYBODY),
    "POST auth.show_login_link": Line("/login/link", For.EVERYBODY, form={"token": "{link}"}, changes=False),
    "POST auth.use_login_link": Line("/login/link/use", For.EVERYBODY, form={"token": "{link}"}),
    "GET auth.passkey_options": Line("/login/passkey/options", For.EVERYBODY, works={404}),  # 127.0.0.1 has no passkeys
    "POST auth.use_passkey": Line("/login/passkey", For.EVERYBODY, form={"credential": "{}"}, works={422}),
    "GET auth.factor": Line("/login/factor", For.EVERYBODY),
    "POST auth.factor": Line("/login/factor", For.EVERYBODY, form={"code": "123456"}, changes=False),
    "GET auth.factor_options": Line("/login/factor/options", For.EVERYBODY, works={401}),  # nobody waits here
    "GET auth.confirm": Line("/login/confirm", For.DASHBOARD),
    "POST auth.confirm": Line("/login/confirm", For.DASHBOARD, form={"password": PASSWORD}),
    "GET auth.confirm_options": Line("/login/confirm/options", For.SCRIPT, works={404}),
    "GET auth.invitation": Line("/login/invitation", For.EVERYBODY),
    "POST auth.show_invitation": Line(
        "/login/invitation", For.EVERYBODY, form={"token": "{invitation_code}"}, changes=False
    ),
    "POST auth.accept_invitation": Line(
        "/login/invitation/accept", For.EVERYBODY, form={"token": "{invitation_code}", **NEW_PASSWORD}
    ),
    "GET auth.reset": Line("/login/reset", For.EVERYBODY),
    "POST auth.show_reset": Line("/login/reset", For.EVERYBODY, form={"token": "{reset_code}"}, changes=False),
    "POST auth.use_reset": Line("/login/reset/use", For.EVERYBODY, form={"token": "{reset_code}", **NEW_PASSWORD}),
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
    "GET follow.index": Line("/follow/", For.EVERYBODY),
    "GET follow.show": Line("/follow/{topic}", For.EVERYBODY),
    "GET follow.feed": Line("/follow/{topic}.atom", For.EVERYBODY),
    "GET follow.icon": Line("/follow/{topic}/icon", For.EVERYBODY),
    "GET follow.embed_script": Line("/embed/follow.js", For.EVERYBODY),
    "GET visitor.service_worker": Line("/visitor/sw.js", For.EVERYBODY),
    "GET visitor.manifest": Line("/visitor/manifest.webmanifest", For.EVERYBODY),
    "GET visitor.key": Line("/visitor/push/key", For.EVERYBODY),
    "POST visitor.subscribe": Line(
        "/visitor/push/subscribe",
        For.EVERYBODY,
        json={"subscription": GOOD, "conversations": ["{conversation}"]},
        session=False,
    ),
    "POST visitor.following": Line(
        "/visitor/push/following", For.EVERYBODY, json={"endpoint": "{visitor}"}, changes=False, session=False
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
    "POST admin.remove_tag": Line("/admin/tags/{tag}/remove", For.OWNER, form={}),
    "GET admin.notes": Line("/admin/notes", For.DASHBOARD),
    "POST admin.begin_note": Line("/admin/notes", For.DASHBOARD, form={"id": "{message}", "back": "/"}),
    "GET admin.note": Line("/admin/notes/{unsent}", For.DASHBOARD, own=True),
    "GET admin.note_figures": Line("/admin/notes/{note}/figures", For.DASHBOARD),
    "POST admin.write_note": Line("/admin/notes/{unsent}/write", For.DASHBOARD, form={"content": "x"}, own=True),
    "POST admin.send_note": Line("/admin/notes/{unsent}/send", For.DASHBOARD, form={}, own=True),
    "POST admin.discard_note": Line("/admin/notes/{unsent}/discard", For.DASHBOARD, form={}, own=True),
    "POST admin.save_search": Line("/admin/searches?q=x", For.DASHBOARD, form={"name": "x"}),
    "POST admin.remove_search": Line("/admin/searches/{search}/remove", For.DASHBOARD, form={}, own=True),
    "GET admin.devices": Line("/admin/devices", For.DASHBOARD, own=True),
    "POST admin.show_qr_code": Line("/admin/devices", For.DASHBOARD, form={}),
    "GET admin.forms": Line("/admin/forms", For.OWNER),
    "GET admin.new_form": Line("/admin/forms/new", For.OWNER),
    "POST admin.new_form": Line("/admin/forms/new", For.OWNER, form=FORM),
    "GET admin.edit_form": Line("/admin/forms/{form}", For.OWNER),
    "POST admin.edit_form": Line("/admin/forms/{form}", For.OWNER, form=FORM),
    "GET admin.add_to_site": Line("/admin/forms/{form}/add", For.OWNER),
    "POST admin.preview_form": Line("/admin/forms/preview", For.OWNER, form=FORM, changes=False),
    "POST admin.close_form": Line("/admin/forms/{form}/close", For.OWNER, form={}),
    "POST admin.open_form": Line("/admin/forms/{form}/open", For.OWNER, form={}),
    "POST admin.delete_form": Line("/admin/forms/{form}/delete", For.OWNER, form={}),
    "POST admin.limits": Line("/admin/forms/limits", For.OWNER, form={"notify_daily": "5"}),
    "GET admin.figures": Line("/admin/figures", For.DASHBOARD),
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
    "POST admin.change_name": Line("/admin/account/name", For.DASHBOARD, form={"name": "Ada"}),
    "GET admin.accounts": Line("/admin/accounts", For.OWNER),
    "POST admin.invite": Line(
        "/admin/accounts/invitations", For.OWNER, form={"email": "new@example.org", "role": "member"}
    ),
    "POST admin.revoke_invitation": Line(
        "/admin/accounts/invitations/{invitation}/revoke", For.OWNER, form={}, works={303}
    ),
    "POST admin.change_role": Line("/admin/accounts/{account}/role", For.OWNER, form={"role": "owner"}),
    "POST admin.make_reset_link": Line("/admin/accounts/{account}/reset-link", For.OWNER, form={}),
    "POST admin.remove_account": Line("/admin/accounts/{account}/remove", For.OWNER, form={}),
    "GET admin.notice": Line("/admin/notices/{notice}", For.DASHBOARD, own=True),
    "POST admin.confirm_notice": Line("/admin/notices/{notice}/seen", For.DASHBOARD, form={}, own=True),
    "POST admin.deny_notice": Line("/admin/notices/{notice}/not-me", For.DASHBOARD, form={}, own=True),
    "GET admin.factors": Line("/admin/account/factors", For.DASHBOARD, own=True),
    "GET admin.new_passkey_options": Line(
        "/admin/account/factors/passkeys/options",
        For.DASHBOARD,
        works={404},  # 127.0.0.1 has no passkeys
    ),
    "POST admin.add_passkey": Line(
        "/admin/account/factors/passkeys",
        For.DASHBOARD,
        form={"name": "x", "credential": "{}"},
        changes=False,
        works={422},
    ),
    "POST admin.rename_passkey": Line(  # more in tests/admin/test_factors.py
        "/admin/account/factors/passkeys/1/rename", For.DASHBOARD, form={}, changes=False, works={404}
    ),
    "POST admin.remove_passkey": Line(  # more in tests/admin/test_factors.py
        "/admin/account/factors/passkeys/1/remove", For.DASHBOARD, form={}, changes=False, works={404}
    ),
    "POST admin.begin_app": Line("/admin/account/factors/app", For.DASHBOARD, form={}),
    "POST admin.confirm_app": Line(
        "/admin/account/factors/app/confirm", For.DASHBOARD, form={"code": "000000"}, changes=False, works={422}
    ),
    "POST admin.remove_app": Line("/admin/account/factors/app/remove", For.DASHBOARD, form={}, changes=False),
    "POST admin.make_recovery_codes": Line(
        "/admin/account/factors/recovery-codes", For.DASHBOARD, form={}, changes=False
    ),
    "POST admin.end_session": Line("/admin/account/sessions/{session}/end", For.DASHBOARD, form={}, own=True),
    "POST admin.end_other_sessions": Line("/admin/account/sessions/end-others", For.DASHBOARD, form={}),
    "GET api_description.openapi": Line("/api/v1/openapi.json", For.EVERYBODY),
    "GET embed.script": Line("/embed/feedback.js", For.EVERYBODY),
    "GET api_forms.get_form": Line("/api/v1/forms/shop", For.EVERYBODY),
    "GET api_forms.get_challenge": Line("/api/v1/forms/shop/challenge", For.EVERYBODY),
    "POST api_forms.send_message": Line(
        "/api/v1/forms/shop/messages", For.EVERYBODY, json={"content": "Hello"}, session=False, works={201}
    ),
    "GET api.list_messages": Line("/api/v1/messages", For.PROGRAM, session=False),
    "GET api.get_message": Line("/api/v1/messages/{message}", For.PROGRAM, session=False),
    "PATCH api.change_message": Line(
        "/api/v1/messages/{message}", For.PROGRAM, json={"state": "archived", "tags": ["x"]}, session=False
    ),
    "POST api.add_reply": Line(
        "/api/v1/messages/{message}/replies", For.PROGRAM, json={"content": MARK}, session=False, works={201}
    ),
    "POST api.send_notification": Line(
        "/api/v1/notifications",
        For.PROGRAM,
        json={"to": "administrators", "title": MARK, "body": "x"},
        session=False,
        works={201},
    ),
    "GET api.get_notification": Line("/api/v1/notifications/{notification}", For.PROGRAM, session=False),
    "GET admin.keys": Line("/admin/keys", For.DASHBOARD, own=True),
    "POST admin.make_key": Line("/admin/keys", For.OWNER, form={"name": "x", "scopes": "read"}),
    "POST admin.show_form_secret": Line("/admin/keys/forms/shop", For.OWNER, form={}),
    "POST admin.end_key": Line("/admin/keys/{key}/end", For.DASHBOARD, form={}, own=True),
    "GET admin.doctor": Line("/admin/doctor", For.OWNER),
    "POST admin.check_now": Line("/admin/doctor", For.OWNER, form={}, changes=False),
    "GET admin.webhooks": Line("/admin/webhooks", For.OWNER),
    "POST admin.add_webhook": Line(
        "/admin/webhooks",
        For.OWNER,
        form={"name": "x", "kind": "webhook", "url": "https://example.org/", "wanted": "every"},
    ),
    "GET admin.new_webhook": Line("/admin/webhooks/new", For.OWNER),
    "GET admin.webhook": Line("/admin/webhooks/{webhook}", For.OWNER),
    "POST admin.change_webhook": Line(
        "/admin/webhooks/{webhook}/change", For.OWNER, form={"name": "x", "wanted": "every"}
    ),
    "POST admin.replace_webhook_secret": Line("/admin/webhooks/{webhook}/secret", For.OWNER, form={}),
    "POST admin.test_webhook": Line("/admin/webhooks/{webhook}/test", For.OWNER, form={}),
    "POST admin.pause_webhook": Line("/admin/webhooks/{webhook}/pause", For.OWNER, form={}),
    "POST admin.resume_webhook": Line("/admin/webhooks/{webhook}/resume", For.OWNER, form={}),
    "POST admin.remove_webhook": Line("/admin/webhooks/{webhook}/remove", For.OWNER, form={}),
    "POST admin.send_webhook_again": Line("/admin/webhooks/events/{event}/send", For.DASHBOARD, form={}),
    "GET admin.webhook_deliveries": Line("/admin/webhooks/{webhook}/events", For.OWNER),
    "GET admin.message_webhooks": Line("/admin/messages/{message}/webhooks", For.DASHBOARD),
    "GET admin.alarms": Line("/admin/alarms", For.DASHBOARD),
    "POST admin.start_drill": Line("/admin/alarms/drill", For.OWNER, form={}),
    "POST admin.choose_drill_interval": Line("/admin/alarms/interval", For.OWNER, form={"days": "7"}),
    "GET admin.drill": Line("/admin/alarms/drills/{drill}", For.DASHBOARD),
    "GET admin.audit": Line("/admin/audit", For.OWNER),
    "GET admin.topics": Line("/admin/topics", For.OWNER),
    "POST admin.add_topic": Line("/admin/topics", For.OWNER, form={"name": "x", "slug": "x"}),
    "GET admin.topic": Line("/admin/topics/{topic}", For.OWNER),
    "GET admin.edit_topic": Line("/admin/topics/{topic}/edit", For.OWNER),
    "POST admin.change_topic": Line("/admin/topics/{topic}/edit", For.OWNER, form={"name": "x", "slug": "x"}),
    "POST admin.move_topic": Line("/admin/topics/{topic}/move", For.OWNER, form={"direction": "down"}),
    "GET admin.topic_icon": Line("/admin/topics/{topic}/icon", For.OWNER),
    "POST admin.set_topic_icon": Line("/admin/topics/{topic}/icon", For.OWNER, form={"remove": "1"}),
    "POST admin.delete_topic": Line("/admin/topics/{topic}/delete", For.OWNER, form={}),
    "POST admin.set_topic_feed": Line(
        "/admin/topics/{topic}/feed", For.OWNER, form={"feed_url": "https://example.org/feed"}
    ),
    "POST admin.read_topic_feed": Line("/admin/topics/{topic}/feed/read", For.OWNER, form={}),
    "POST admin.remove_topic_feed": Line("/admin/topics/{topic}/feed/remove", For.OWNER, form={}),
    "GET admin.new_broadcast": Line("/admin/topics/{topic}/broadcasts/new", For.OWNER),
    "POST admin.add_broadcast": Line("/admin/topics/{topic}/broadcasts", For.OWNER, form={"title": "x"}),
    "GET admin.broadcast": Line("/admin/broadcasts/{sending}", For.OWNER),
    "GET admin.broadcast_progress": Line("/admin/broadcasts/{sending}/progress.json", For.OWNER),
    "GET admin.edit_broadcast": Line("/admin/broadcasts/{draft}/edit", For.OWNER),
    "POST admin.edit_broadcast": Line("/admin/broadcasts/{draft}/edit", For.OWNER, form={"title": "x"}),
    "POST admin.discard_broadcast": Line("/admin/broadcasts/{draft}/discard", For.OWNER, form={}),
    "POST admin.pause_broadcast": Line("/admin/broadcasts/{sending}/pause", For.OWNER, form={}),
    "POST admin.resume_broadcast": Line("/admin/broadcasts/{paused}/resume", For.OWNER, form={}),
    "POST admin.end_broadcast": Line("/admin/broadcasts/{sending}/end", For.OWNER, form={}),
    "POST admin.remove_device": Line("/admin/devices/{device}/remove", For.DASHBOARD, form={}, own=True),
}
CLOSED = [name for name, line in LINES.items() if line.whom != For.EVERYBODY]
OWNERS = [name for name in CLOSED if LINES[name].whom == For.OWNER]
IN_A_SESSION = [name for name in CLOSED if LINES[name].whom != For.PROGRAM]
SENDING = [name for name in LINES if not name.startswith("GET ")]


@dataclass
class Place:
    """A site with what `staff` has there."""

    app: Flask
    staff: User
    ids: dict[str, str]
    key: str

    def fill(self, template: str) -> str:
        return PLACEHOLDER.sub(lambda match: self.ids[match[1]], template)


class Caller(Visitor):
    """Calls endpoints with any headers, bodies and methods, and as a program with a key if it has one."""

    key = ""
    _token = ("", "")  # with the session that it belongs to

    def token(self) -> str:
        if self._token[0] != self.session or not self.session:
            token = str(self.read("/feedback/").fields["csrf_token"])
            self._token = (self.session, token)
        return self._token[1]

    @property
    def session(self) -> str:
        """The session's cookie; empty if there is none."""
        cookie = self.get_cookie("session", "127.0.0.1")
        return cookie.value if cookie else ""

    def reset(self, cookies: dict[Any, Any] | None = None) -> dict[Any, Any]:
        """Replace all cookies with these, if any are given; return a copy of the present ones."""
        present: dict[Any, Any] = dict(self._cookies or {}) if cookies is None else dict(cookies)
        self._cookies = present
        return dict(present)

    def call(self, place: Place, name: str, *, token: str | None = "", **more: Any) -> TestResponse:
        """Call an endpoint as its line says, with a token of this session unless another is given, or none."""
        method, line = name.split(" ", 1)[0], LINES[name]
        if self.key and line.whom == For.PROGRAM:
            more["headers"] = {"Authorization": f"Bearer {self.key}"}
        if method == "GET":
            return self.get(place.fill(line.address), **more)
        if token == "":
            token = self.token()
        headers = {"Referer": self.site, **({"X-CSRFToken": token} if token is not None else {})}
        headers |= more.pop("headers", {})
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
def settings(settings: Settings) -> Settings:
    """The doctor would ask the push service of Place's device, which is no double."""
    return replace(settings, push_proxy=f"http://127.0.0.1:{servers.free_port()}")


@pytest.fixture
def place(app: Flask, staff: User) -> Place:
    return place_of(app, staff)


def place_of(app: Flask, staff: User) -> Place:
    webhook = new_target(url="https://example.org/", name=MARK)
    message = receive(content=f"{MARK} content", submitter_name="Ada")
    event = deliveries.of_message(message)[0]
    drill = drills.start(staff.email, utcnow())
    assert drill
    drill.judged_at = utcnow()
    phone = device(staff, endpoint=f"https://fcm.googleapis.com/fcm/send/{MARK}")
    sent = delivery(message, phone, state=DeliveryState.ACCEPTED, accepted_at=utcnow())
    test = outbox.enqueue_test(phone)
    db.session.commit()
    receipt = receipts.token(sent.id, receipts.signing_key(app.extensions["settings"].secret_key))
    sessions.begin(staff, browser=MARK, remembered=False)
    db.session.commit()
    [session] = sessions.of(staff)
    other = make_user("other@example.org", Role.MEMBER)
    notices.tell(staff, NoticeEvent.NEW_DEVICE, session_id=session.id, device=MARK)
    _, conversation = begun(content="for the visitor too")
    tags.add(message.id, [MARK])
    reply = Reply(message_id=message.id, is_answer=True, content=MARK)
    db.session.add(reply)
    db.session.flush()
    set_aside = in_spam(form_key="shop")
    note_draft, note = (notes.draft(staff, [message.id], {}) for _ in range(2))
    for each in (note_draft, note):
        notes.write(each, MARK, marks_answered=False)
    notes.send(note)
    saved_searches.save(staff, MARK, {"q": MARK})
    api_key = api_keys.make(staff, MARK, [*Scope])
    db.session.execute(update(ApiKey).values(last_used_at=utcnow() + timedelta(hours=1)))  # so that no use changes it
    notification = outbox.enqueue(Notification(MARK, "", "https://example.org/", "api"), kind=API.code)
    db.session.flush()
    topic = new_topic(icon=b"png", icon_type="image/png")
    feeds.put(topic, f"https://example.org/{MARK}", is_automatic=True)
    new_topic("another")
    sending, paused = started(topic), started(topic)
    broadcasts.pause(paused)
    draft = broadcasts.add(topic, DRAFT._replace(title=MARK))
    ids = {
        "webhook": webhook.id,
        "event": event.id,
        "drill": drill.id,
        "topic": topic.slug,
        "sending": sending.id,
        "paused": paused.id,
        "draft": draft.id,
        "message": message.id,
        "reply": reply.id,
        "unsent": note_draft.id,
        "note": note.id,
        "device": phone.id,
        "endpoint": phone.endpoint,
        "receipt": receipt,
        "session": session.id,
        "account": other.id,
        "invitation_code": invitations.make("invited@example.org", Role.MEMBER, staff).partition("#")[2],
        "invitation": db.session.scalars(select(Invitation.id)).one(),
        "reset_code": reset_links.make(other, staff).partition("#")[2],
        "notice": db.session.scalars(select(Notice.id).order_by(Notice.id)).first(),
        "test": test.id,
        "user": staff.id,
        "conversation": conversation,
        "visitor": db.session.get_one(Subscription, visitors(1)[0]).endpoint,
        "tag": db.session.scalars(select(Tag.id)).one(),
        "search": saved_searches.of(staff)[0].id,
        "form": own_form().key,
        "key": api_keys.of(staff)[0].id,
        "plain": confirmation_token("shop", set_aside.id),
        "notification": f"a{notification.id}",
        "undo": undo.keep([("read", None, [message.id])], session.id),
        "link": sign_in_links.make(staff).partition("#")[2],
    }
    db.session.commit()
    return Place(app, staff, {name: str(value) for name, value in ids.items()}, api_key)


@pytest.fixture
def stranger(app: Flask) -> Caller:
    return Caller(app)


@pytest.fixture
def owner(app: Flask, place: Place) -> Caller:
    caller = signed_in(app, place.staff.email)
    caller.key = place.key
    newest, *_ = sessions.of(place.staff)
    place.ids["undo"] = str(undo.keep([("read", None, [int(place.ids["message"])])], newest.id))
    db.session.commit()
    return caller


@pytest.fixture
def colleague(app: Flask, place: Place) -> Caller:
    return signed_in(app, make_user("colleague@example.org").email)


@pytest.fixture
def member(app: Flask, place: Place) -> Caller:
    return signed_in(app, make_user(MEMBER, Role.MEMBER).email)


def signed_in(app: Flask, email: str) -> Caller:
    caller = Caller(app)
    assert caller.sign_in(email, PASSWORD).status_code == 303
    return caller


Stored = dict[str, list[tuple[Any, ...]]]


@cache
def statements() -> dict[str, tuple[str, str, list[str]]]:
    """Return how to read and write each table, and the names of its columns."""
    tables = db.metadata.sorted_tables
    return {table.name: (str(table.select()), str(table.insert()), [*table.columns.keys()]) for table in tables}


def driver() -> Any:
    """Return SQLite's own connection, which reads all tables ten times as fast as SQLAlchemy."""
    db.session.rollback()
    return db.session.connection().connection.driver_connection


def stored() -> Stored:
    """Return everything that the database holds."""
    connection = driver()
    held = {name: connection.execute(read).fetchall() for name, (read, _, _) in statements().items()}
    db.session.rollback()
    return held


def restore(before: Stored) -> None:
    """Make the database hold this and nothing else."""
    if stored() == before:
        return
    for table in reversed(db.metadata.sorted_tables):
        db.session.execute(table.delete())
    db.session.commit()
    connection = driver()
    for name, (_, write, columns) in statements().items():
        connection.executemany(write, [dict(zip(columns, row, strict=True)) for row in before[name]])
    connection.commit()
    db.session.rollback()


def endpoints(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        yield from (f"{method} {rule.endpoint}" for method in sorted((rule.methods or set()) & METHODS))


def turned_away(name: str, answer: TestResponse) -> None:
    assert MARK not in answer.text
    if LINES[name].whom == For.PROGRAM:
        assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    elif LINES[name].whom == For.SCRIPT:
        assert (answer.status_code, list(answer.get_json())) == (401, ["error"])
    else:
        assert answer.status_code in (302, 303)
        assert answer.location.startswith("/login")


def test_every_endpoint_says_here_whom_it_is_for(app: Flask) -> None:
    assert sorted(set(endpoints(app)) ^ set(LINES)) == []


def test_whoever_is_allowed_to_can(place: Place, owner: Caller) -> None:
    before, cookies = stored(), owner.reset()
    for name, line in LINES.items():
        caller = owner if line.whom != For.EVERYBODY or name == "POST auth.logout" else Caller(place.app)
        answer = caller.call(place, name)
        assert answer.status_code in line.works, name
        assert not (answer.location or "").startswith("/login") or name in TO_SIGN_IN, name
        if name in SENDING:
            assert (stored() != before) is line.changes, name
        restore(before)
        owner.reset(cookies)
    assert owner.signed_in()


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
    for name in IN_A_SESSION:
        turned_away(name, owner.call(place, name, token=token))
        assert stored() == before, name


def test_what_is_somebodys_own_is_not_another_administrators(place: Place, colleague: Caller) -> None:
    before = stored()
    for name in [name for name in IN_A_SESSION if LINES[name].own]:
        answer = colleague.call(place, name)
        assert answer.status_code < 500, name
        assert not (answer.location or "").startswith("/login"), name
        assert MARK not in answer.text, name
        assert stored() == before, name


def test_what_is_for_all_administrators_is_for_each(place: Place, colleague: Caller) -> None:
    before, cookies = stored(), colleague.reset()
    for name in [name for name in IN_A_SESSION if not LINES[name].own]:
        answer = colleague.call(place, name)
        assert answer.status_code in LINES[name].works, name
        assert not (answer.location or "").startswith("/login"), name
        restore(before)
        colleague.reset(cookies)


def test_a_member_is_refused_in_words_what_is_for_owners(place: Place, member: Caller) -> None:
    token, before = member.token(), stored()
    for name in OWNERS:
        answer = member.call(place, name, token=token)
        assert answer.status_code == 403, name
        assert "Only an owner of this site may see or do this." in answer.text, name
        assert MARK not in answer.text, name
        assert stored() == before, name
    assert len(OWNERS) > 30


def test_a_member_may_do_the_rest_and_no_request_makes_them_an_owner(place: Place, member: Caller) -> None:
    before, cookies = stored(), member.reset()
    for name in [name for name in IN_A_SESSION if LINES[name].whom != For.OWNER and not LINES[name].own]:
        line = LINES[name]
        form = None if line.form is None else {**(filled(place, line.form) or {}), "role": "owner"}
        more: dict[str, Any] = {"data": form} if form else {}
        answer = member.call(place, name, **more)
        assert answer.status_code in line.works, name
        assert not (answer.location or "").startswith("/login"), name
        assert db.session.scalar(select(User.role).where(User.email == MEMBER)) == "member", name
        restore(before)
        member.reset(cookies)


def test_a_members_pages_lead_nowhere_where_members_may_not_go(place: Place, member: Caller) -> None:
    rules = place.app.url_map.bind("127.0.0.1:8000", url_scheme="http")
    pages = [name for name in IN_A_SESSION if name.startswith("GET ") and name not in OWNERS]
    led = set()
    for name in pages:
        answer = member.call(place, name)
        for element in Page(answer).elements if answer.mimetype == "text/html" else []:
            address, method = element.attributes.get("href"), "GET"
            if element.tag == "form":
                address, method = element.attributes.get("action"), element.attributes.get("method", "get").upper()
            if address and address.startswith("/"):
                path, _, query = address.partition("#")[0].partition("?")
                led.add(f"{method} {rules.match(path, method=method, query_args=query)[0]}")
    assert {"GET admin.message", "POST admin.reply", "POST admin.change_password"} <= led
    assert sorted(led & set(OWNERS)) == []


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
        for value in ("0", "-1", "x", "9" * 19, "9" * 40, "%00", "..%2f1"):
            answer = owner.call(replace(place, ids=dict.fromkeys(place.ids, value)), name)
            assert answer.status_code in (404, 303, 302), (name, value)
            assert not (answer.location or "").startswith("/login"), (name, value)
            assert stored() == before, (name, value)
