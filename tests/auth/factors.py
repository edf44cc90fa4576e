"""Accounts with second factors, and the browsers that use them."""

import re

import pyotp
from flask import Flask
from werkzeug.test import TestResponse

from feedback_push.auth import recovery_codes, totp
from feedback_push.auth.models import User
from feedback_push.database import db
from tests.auth.authenticator import Authenticator
from tests.conftest import PASSWORD
from tests.visits import Page, Visitor

LOCAL = "http://localhost:8000"
FACTORS = "/admin/account/factors"


def at_localhost(app: Flask) -> Visitor:
    """Return a browser that has opened the site at localhost, where passkeys work."""
    visitor = Visitor(app)
    visitor.site = LOCAL
    return visitor


def add_passkey(visitor: Visitor, authenticator: Authenticator, name: str = "My phone") -> TestResponse:
    """Add a passkey to the account that is signed in."""
    options = visitor.get(f"{FACTORS}/passkeys/options").get_json()
    return add_made(visitor, authenticator.create(options), name)


def add_made(visitor: Visitor, credential: str, name: str = "My phone") -> TestResponse:
    """Send what an authenticator has made."""
    token = visitor.read(FACTORS).one("meta", name="csrf-token").attributes["content"]
    return visitor.post(f"{FACTORS}/passkeys", data={"csrf_token": token, "name": name, "credential": credential})


def sign_in_with(visitor: Visitor, authenticator: Authenticator) -> TestResponse:
    """Sign in with a passkey alone."""
    visitor.get("/login")
    return send_passkey(visitor, authenticator.get(visitor.get("/login/passkey/options").get_json()))


def send_passkey(visitor: Visitor, credential: str, address: str = "/login/passkey") -> TestResponse:
    """Send what an authenticator has signed, with the token of the sign-in page."""
    page = "/login" if address == "/login/passkey" else address
    token = visitor.read(page).all(name="csrf_token")[0].attributes["value"]
    return visitor.post(address, data={"csrf_token": token, "credential": credential})


def with_app(user: User) -> pyotp.TOTP:
    """Give an account a code app."""
    secret = totp.begin(user)
    app = pyotp.TOTP(secret)
    assert totp.confirm(user, app.now())
    totp_row = totp.of(user)
    assert totp_row
    totp_row.last_step = 0  # so that the test's first code need not wait for the next step
    db.session.commit()
    return app


def with_codes(user: User) -> list[str]:
    """Give an account recovery codes."""
    codes = recovery_codes.make(user)
    db.session.commit()
    return codes


def send_code(visitor: Visitor, code: str, field: str = "code", address: str = "/login/factor") -> TestResponse:
    """Send a code to a page that asks for it."""
    token = visitor.read(address).all(name="csrf_token")[0].attributes["value"]
    return visitor.post(address, data={"csrf_token": token, field: code})


def waiting(app: Flask, user: User) -> Visitor:
    """Return a browser whose password was right and that is asked for the second factor."""
    visitor = at_localhost(app)
    answer = visitor.sign_in(user.email, PASSWORD)
    assert re.match(r"/login/factor", answer.location or "")
    return visitor


def alert_of(answer: TestResponse) -> str:
    """Return the message of a refusal."""
    return Page(answer).alert.strip()  # beside it, a place for what the script has to say is empty
