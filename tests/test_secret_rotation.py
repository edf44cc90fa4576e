"""secret_rotation.py and SECRET_KEY_PREVIOUS: a new secret signs nobody out, and loses no device and no link."""

import base64
import hmac
import importlib
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import Result
from flask import Flask
from marshmallow import ValidationError
from sqlalchemy import String, select, update

from feedback_push import csrf, encryption, network_address, private_links, secret_keys, secret_rotation, site_secrets
from feedback_push.api import cursors, host_users
from feedback_push.auth import known_browser, totp
from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from feedback_push.feedback import conversations, site_forms, spam
from feedback_push.feedback.form_models import Form
from feedback_push.feedback.models import Conversation
from feedback_push.push import keys, receipts
from feedback_push.push.models import Delivery
from feedback_push.webhooks import targets
from feedback_push.webhooks.targets import Address
from tests.api.page import GOOD, SHOP_FORM, OtherPage
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import confirmation_token, in_spam, own_form
from tests.feedback.proofs import solved
from tests.push.devices import unreachable_devices, visitors
from tests.push.notes import announce
from tests.servers import CHECKOUT
from tests.visitors.conversations import begun
from tests.visits import Visit, Visitor
from tests.webhooks.receivers import new_target

OLD, NEW, THIRD = "the secret of years ago", "the secret from now on", "a secret that nobody gave us"
EMAIL = "staff@example.org"
REPEATED = "4f5e0d1c-9a55-4f5e"
THANKED = "/feedback/complete/"
EVERYTHING = {
    *("session cookie", "remember cookie", "known browser", "form of an ended session", "open form", "confirmation"),
    *("receipt", "cursor", "repeated request", "user of the host", "address in the audit log"),
    *("link in a notification", "link in an answer", "VAPID key", "code app", "webhook"),
}


@pytest.fixture
def site(visit: Visit, any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Flask]:
    """Makes the site with a secret, and with the one before it if there is one, on the same database."""
    monkeypatch.setattr(spam, "_SECONDS_TO_TYPE", 0.0)

    def start(secret: str, before: str = "") -> Flask:
        return visit(secret_key=secret, secret_key_previous=before, form_defence=True).application

    return start


class Made(NamedTuple):
    """All that a site with one secret has given out."""

    remembered: Visitor
    only_here: Visitor
    known: Visitor
    form: dict[str, str]
    visitor: Visitor
    account_token: str
    receipt: str
    delivery_id: int
    cursor: str
    confirmation: str
    host_proof: str
    repeated: dict[str, Any]
    conversation_url: str
    message_id: int
    link: str
    notified: str
    vapid_key: str
    code_app: str
    webhook: Address
    address_hash: str


def made_by(app: Flask) -> Made:
    """Let a site give out one of each."""
    remembered, only_here, known, visitor = (Visitor(app) for _ in range(4))
    remembered.sign_in(EMAIL, PASSWORD, remember="y")
    only_here.sign_in(EMAIL, PASSWORD)
    known.sign_in(EMAIL, PASSWORD)
    known.sign_out()
    form = {**visitor.read("/feedback/").fields, "content": "Hello", "submitter_name": "Ada", "proof": solved(visitor)}
    page = OtherPage(app)
    repeated = {**GOOD, "proof": page.proof()}
    conversation_url = page.post(repeated, Idempotency_Key=REPEATED).get_json()["conversation_url"]
    with app.test_request_context():
        message, link = begun()
        conversation = db.session.get_one(Conversation, message.id)
        conversations.follow(conversation, visitors(1)[0], with_text=False)
        note = conversations.notification_of_answer(conversation, "Yes")
        unreachable_devices(db.session.query(User).one(), 1)
        announce()
        delivery_id = db.session.query(Delivery.id).order_by(Delivery.id.desc()).limit(1).scalar()
        vapid_key = keys.rotate()
        code_app = totp.begin(db.session.query(User).one())
        webhook = new_target(url="https://hooks.example.org/a-token")
        db.session.commit()
        # Derived, because the secret that a page has shown is stored, and so depends on no SECRET_KEY.
        host_secret = host_users._derived(shop())  # noqa: SLF001
        return Made(
            remembered=remembered,
            only_here=only_here,
            known=known,
            form=form,
            visitor=visitor,
            account_token=remembered.read("/admin/account").fields["csrf_token"],
            receipt=receipts.token(delivery_id, receipts.signing_key(str(app.secret_key))),
            delivery_id=delivery_id,
            cursor=str(cursors.to(7)),
            confirmation=confirmation_token("shop", in_spam(form_key="shop").id),
            host_proof=hmac.digest(host_secret.encode(), b"ada", "sha256").hex(),
            repeated=repeated,
            conversation_url=conversation_url,
            message_id=message.id,
            link=link,
            notified=note.navigate,
            vapid_key=vapid_key,
            code_app=code_app,
            webhook=targets.address(webhook),
            address_hash=network_address.of_request(),
        )


def taken(app: Flask, made: Made) -> set[str]:
    """Return the names of what a site takes of all that."""
    page = OtherPage(app)
    user = {"id": "ada", "hmac": made.host_proof}
    found = {
        "session cookie": with_cookies(app, made.only_here, "session").signed_in(),
        "remember cookie": with_cookies(app, made.remembered, "remember_token").signed_in(),
        "open form": with_cookies(app, made.visitor, "session").post("/feedback/", data=made.form).location == THANKED,
        "confirmation": Visitor(app).get(f"/f/shop/confirm/{made.confirmation}").status_code == 200,
        "user of the host": page.post({**GOOD, "user": user, "proof": page.proof()}).status_code == 201,
        "repeated request": page.post(made.repeated, Idempotency_Key=REPEATED).get_json().get("conversation_url")
        == made.conversation_url,
    }
    with app.app_context():
        db.session.execute(update(Delivery).values(shown_at=None))
        db.session.commit()
    Visitor(app).post("/push/receipt", json={"token": made.receipt, "event": "shown"})
    cookie = made.known.get_cookie("known_browser", domain="127.0.0.1")
    assert cookie
    asked = {"data": {"csrf_token": made.account_token}, "headers": {"Cookie": f"known_browser={cookie.value}"}}
    with app.test_request_context(method="POST", **asked):
        conversation = db.session.get_one(Conversation, made.message_id)
        found |= {
            "known browser": known_browser.of(EMAIL) is not None,
            "form of an ended session": csrf.account_of_token() is not None,
            "receipt": db.session.get_one(Delivery, made.delivery_id).shown_at is not None,
            "cursor": is_cursor(made.cursor),
            "address in the audit log": network_address.is_of_request(made.address_hash),
            "link in a notification": private_links.finished(made.notified).endswith(made.link),
            "link in an answer": conversations.token_of(conversation) == made.link,
            "code app": totp.secret_to_confirm(db.session.query(User).one()) == made.code_app,
            "webhook": made.webhook in addresses(),
            "VAPID key": made.vapid_key in keys.load().live,
        }
        db.session.rollback()
    return {name for name, is_taken in found.items() if is_taken}


def addresses() -> list[Address]:
    with suppress(encryption.UnreadableError):
        return [targets.address(each) for each in targets.everything()]
    return []


def encrypted_columns() -> set[str]:
    """Return the columns of the database that hold something that Fernet has encrypted."""
    tables = db.metadata.sorted_tables
    texts = [column for table in tables for column in table.columns if isinstance(column.type, String)]
    found = ((each, select(each).where(each.like("gAAAA%")).limit(1)) for each in texts)
    return {str(each) for each, question in found if db.session.execute(question).first()}


def shop() -> Form:
    form = site_forms.find("shop")
    assert form
    return form


def with_cookies(app: Flask, browser: Visitor, *names: str) -> Visitor:
    """Return a browser with these cookies of another, at the site as it is now."""
    visitor = Visitor(app)
    for name in names:
        cookie = browser.get_cookie(name, domain="127.0.0.1")
        assert cookie
        visitor.set_cookie(name, cookie.value, domain="127.0.0.1")
    return visitor


def is_cursor(text: str) -> bool:
    try:
        return bool(cursors.Cursor().deserialize(text))
    except ValidationError:
        return False


def of_first_key(secret: str, message_id: int) -> str:
    """Return the private link of a message that somebody who knows this SECRET_KEY can compute."""
    raw = hmac.digest(secret_keys.derive(secret, "private link"), b"%d:1" % message_id, "sha256")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_new_secret_signs_nobody_out_and_loses_no_device_and_no_link(site: Callable[..., Flask]) -> None:
    make_user(EMAIL)
    own_form(**SHOP_FORM)
    made = made_by(site(OLD))
    during = site(NEW, OLD)
    assert taken(during, made) == EVERYTHING
    with during.test_request_context():
        db.session.execute(update(Session).values(last_seen_at=utcnow() - timedelta(hours=1)))
        db.session.commit()
        visits = with_cookies(during, made.remembered, "session", "remember_token")
        assert visits.signed_in()  # which renews its cookies
        # The two VAPID keys, the secret of the code app, and the address and the secret of the webhook.
        assert secret_rotation.finish()["renewed"] == 5
        assert encrypted_columns() == {str(column.expression) for column, _ in encryption.columns()}
        assert secret_rotation.finish() == {"renewed": 0, "unreadable": 0}  # it may run again
        message, fresh = begun()
        assert of_first_key(OLD, made.message_id) == made.link
        assert fresh not in (of_first_key(OLD, message.id), of_first_key(NEW, message.id))
        note = private_links.unfinished(message.id, 1, private_links.newest_key())
    assert taken(during, made) == EVERYTHING - {"open form"}  # its proof counts once
    after = site(NEW)
    stored = {"user of the host", "link in a notification", "link in an answer", "VAPID key", "code app", "webhook"}
    assert taken(after, made) == stored
    for name in ("session", "remember_token"):
        assert with_cookies(after, visits, name).signed_in()
    for link in (made.link, fresh):
        assert Visitor(after).get(f"/conversations/{link}").status_code == 200
    with after.test_request_context():
        assert private_links.finished(note).endswith(fresh)


def test_what_another_secret_has_signed_is_refused(site: Callable[..., Flask]) -> None:
    make_user(EMAIL)
    own_form(**SHOP_FORM)
    made = made_by(site(THIRD))
    assert taken(site(NEW, OLD), made) == set()


def test_secrets_are_encrypted_anew_in_batches_that_may_be_interrupted(
    site: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "_BATCH", 2)
    with site(OLD).app_context():
        for number in range(5):
            site_secrets.add(f"test {number}", f"secret {number}")
        db.session.commit()
    with site(THIRD).app_context():
        site_secrets.add("another", "unreadable")
        db.session.commit()
    with site(NEW, OLD).app_context():
        first = next(encryption.renew())
        db.session.commit()
        assert first == encryption.Batch(2, 0)
        assert secret_rotation.finish() == {"renewed": 3, "unreadable": 1}
    with site(NEW).app_context():
        assert [site_secrets.of(f"test {number}")[0].reveal() for number in range(5)] == [
            f"secret {number}" for number in range(5)
        ]
        with pytest.raises(encryption.UnreadableError):
            site_secrets.of("another")[0].reveal()


def test_every_purpose_of_encryption_has_a_column_that_is_known() -> None:
    purposes = set()
    for path in (CHECKOUT / "feedback_push").rglob("*.py"):
        calls = re.findall(r"encryption\.encrypt\([^()]+(?:\([^()]*\))?[^()]*, (\w+)\)", path.read_text())
        module = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
        purposes |= {getattr(importlib.import_module(module), name) for name in calls}
    assert {"VAPID keys", "secrets of the site", "TOTP secrets", "webhooks"} <= purposes
    assert purposes == {purpose for _, purpose in encryption.columns()}


def test_no_module_uses_the_secret_but_through_secret_keys() -> None:
    # Anything else would forget the previous one. Those below set it, show it or sign with it alone.
    may = (
        "config",
        "secret_keys",
        "security",
        "secret_rotation",
        "push/sender",
        "backup/keys",
        "doctor/settings_checks",
    )
    direct = re.compile(r"config\[.SECRET_KEY.\]|\.secret_key\b")
    package = CHECKOUT / "feedback_push"
    found = {str(path.relative_to(package))[:-3] for path in package.rglob("*.py") if direct.search(path.read_text())}
    assert found <= set(may)


@pytest.mark.usefixtures("private_files")
def test_the_command_changes_the_file_of_make_run_or_says_what_to_do(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "secrets.env"
    file.write_text(f"# Made by us\nSECRET_KEY={OLD}\nVAPID_SUBJECT=mailto:ada@example.org\n")

    def rotate(secret: str, before: str = "") -> str:
        app = visit(secret_key=secret, secret_key_previous=before, instance_dir=tmp_path).application
        result = app.test_cli_runner().invoke(args=["secret", "rotate"])
        assert (result.exit_code, result.stderr) == (0, "")
        assert OLD not in result.output
        return result.output

    assert "Rename SECRET_KEY to SECRET_KEY_PREVIOUS" in rotate(NEW)  # which is not the one in the file
    (tmp_path / ".env").write_text(f"export SECRET_KEY={OLD}\n")
    assert "Rename SECRET_KEY to SECRET_KEY_PREVIOUS" in rotate(OLD)  # .env takes precedence
    (tmp_path / ".env").unlink()
    assert f"{file} has a new SECRET_KEY" in rotate(OLD)
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    assert lines["SECRET_KEY_PREVIOUS"] == OLD
    assert lines["VAPID_SUBJECT"] == "mailto:ada@example.org"
    assert len(lines["SECRET_KEY"]) == 64
    assert file.stat().st_mode & 0o777 == 0o600
    told = rotate(lines["SECRET_KEY"], OLD)
    assert f"Keep SECRET_KEY_PREVIOUS until {utcnow() + timedelta(days=91):%Y-%m-%d}" in told
    assert rotate(lines["SECRET_KEY"], OLD) == told  # and the file stays


def test_the_secret_of_a_form_can_be_replaced_while_the_earlier_one_counts(app: Flask) -> None:
    own_form(**SHOP_FORM)
    page = OtherPage(app)
    earlier = host_users.secret(shop())

    def counts(secret: str) -> bool:
        proof = hmac.digest(secret.encode(), b"ada", "sha256").hex()
        return page.post({**GOOD, "user": {"id": "ada", "hmac": proof}}).status_code == 201

    def run(*options: str) -> Result:
        return app.test_cli_runner().invoke(args=["secret", "form", "shop", *options])

    new = run("--new").output.splitlines()[0]
    assert new != earlier
    assert [counts(earlier), counts(new), counts("another")] == [True, True, False]
    assert host_users.secret(shop()) == new
    assert run("--end-earlier").output == "Ended 1 stored secret.\n"
    assert [counts(earlier), counts(new)] == [False, True]
    assert [run().exit_code, run("--new", "--end-earlier").exit_code] == [1, 1]
    assert [run("--new").exit_code for _ in range(5)] == [0, 0, 0, 0, 1]  # it has five at most


def test_the_default_form_keeps_its_secret_when_it_gets_a_row(app: Flask) -> None:
    form = site_forms.find("default")
    assert form
    host_users.keep(form)
    db.session.commit()
    before = host_users.secret(form)
    own_form("default")
    stored = site_forms.find("default")
    assert stored
    assert stored.id
    assert host_users.secret(stored) == before
