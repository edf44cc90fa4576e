"""Guess the password of one account from many networks at full speed, and let its owner in all the same."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pyotp
import pytest
import requests
from flask import current_app
from sqlalchemy import func, select

from feedback_push.auth import accounts, passkeys, sign_in_links
from feedback_push.auth.audit_models import AuditEntry, AuditEvent
from feedback_push.database import db
from tests.auth.authenticator import Authenticator
from tests.auth.factors import add_passkey, with_app
from tests.conftest import PASSWORD
from tests.drills import attacks
from tests.drills.harness import attacking, report
from tests.sessions import Staff
from tests.site import Site
from tests.visits import Page, Visitor

EMAIL = "staff@example.org"
TWICE_SAFE = "ada@example.org"  # an account with a code app and a passkey
_OWNERS = 9
_PATIENT = 4
_BETWEEN = 0.5  # seconds
_PATIENCE = 60.0
_GUESSES_AN_HOUR = 100


@pytest.mark.timeout(120)  # half a minute on an idle machine; the owner has a minute
def test_the_owner_gets_in_while_strangers_guess_from_many_networks(start_site: Callable[..., Site]) -> None:
    site = start_site(trusted_proxies=1)
    site.create_user(EMAIL)
    code_app, authenticator = _factors(site)
    with (
        attacking(site, attacks.guessers, 3, _PATIENT, EMAIL),
        attacking(site, attacks.guessers, 1, 0, TWICE_SAFE),
        ThreadPoolExecutor(_OWNERS + 1) as at_once,
    ):
        time.sleep(2)  # until the free tries are used up
        by_link, by_passkey = _by_link(site), _by_passkey(site, authenticator)
        waits_for_code = at_once.submit(_by_code, site, code_app)
        by_password = sorted(at_once.map(lambda number: _by_password(site, number), range(_OWNERS)))
        by_code = waits_for_code.result()
        guesses = _guesses(site)
    report(
        f"the owner in {_OWNERS} new browsers while 4 clients guess at full speed, each time from a new network, and "
        f"{_PATIENT} networks obey the waits",
        f"in after {by_password[0]:.1f} to {by_password[-1]:.1f} s by password, {by_code:.1f} s with a code, "
        f"{by_link:.1f} s by sign-in link, {by_passkey:.1f} s by passkey; {guesses} guesses were checked",
    )
    assert max(by_password[-1], by_code, by_link, by_passkey) <= _PATIENCE
    assert 10 <= guesses <= _GUESSES_AN_HOUR


def _factors(site: Site) -> tuple[pyotp.TOTP, Authenticator]:
    """Create the other account, with a code app and a passkey."""
    origin = f"http://localhost:{site.settings.port}"
    authenticator = Authenticator(origin=origin)
    site.create_user(TWICE_SAFE)
    with site.database():
        visitor = Visitor(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
        visitor.site = origin
        visitor.sign_in(TWICE_SAFE, PASSWORD)
        add_passkey(visitor, authenticator)
        user = accounts.find(TWICE_SAFE)
        assert user
        assert len(passkeys.of(user)) == 1
        return with_app(user), authenticator


def _by_password(site: Site, number: int) -> float:
    """Sign in with a new browser in a new network, which waits as long as it is told; return the seconds it took."""
    time.sleep(number * _BETWEEN)
    with _new_browser(site, number) as owner:
        began = time.monotonic()
        while not (answer := owner.sign_in(EMAIL, PASSWORD)).url.startswith(site.dashboard):
            _obey(answer, began)
        return time.monotonic() - began


def _by_code(site: Site, code_app: pyotp.TOTP) -> float:
    """Do the same with a code of the code app after the password."""
    with _new_browser(site, 100) as owner:
        began = time.monotonic()
        while "/login/factor" not in (answer := owner.sign_in(TWICE_SAFE, PASSWORD)).url:
            _obey(answer, began)
        assert owner.send(answer.url, code=code_app.now()).url.startswith(site.dashboard)
        return time.monotonic() - began


def _by_passkey(site: Site, authenticator: Authenticator) -> float:
    """Sign in with a passkey alone, as the page's script does; return the seconds it took."""
    with _new_browser(site, 101) as owner:
        began = time.monotonic()
        page = f"http://localhost:{site.settings.port}/login"
        token = owner.read(page).all(name="csrf_token")[0].attributes["value"]
        fields = {"csrf_token": token, "credential": authenticator.get(owner.get(f"{page}/passkey/options").json())}
        answer = owner._http.post(f"{page}/passkey", fields, headers={"Referer": page}, timeout=20)  # noqa: SLF001
        assert urlsplit(answer.url).path == site.settings.admin_url
        return time.monotonic() - began


def _new_browser(site: Site, number: int) -> Staff:
    browser = Staff(site.settings)
    browser._http.headers["X-Forwarded-For"] = f"203.0.{number}.1"  # noqa: SLF001
    return browser


def _obey(answer: requests.Response, began: float) -> None:
    assert time.monotonic() - began < _PATIENCE, Page(answer).alert
    time.sleep(float(answer.headers["Retry-After"]))


def _by_link(site: Site) -> float:
    """Sign in with a link, as its page does; return the seconds it took."""
    with site.database():
        user = accounts.find(EMAIL)
        assert user
        token = urlsplit(sign_in_links.make(user)).fragment
        db.session.commit()
    with _new_browser(site, 102) as owner:
        began = time.monotonic()
        asked = owner.send("/login/link", token=token)
        assert "Sign in as" in asked.text
        fields = {"token": token, "csrf_token": owner.read("/login/link").fields["csrf_token"]}
        headers = {"Referer": asked.url}
        used = owner._http.post(f"{site.url}/login/link/use", fields, headers=headers, timeout=20)  # noqa: SLF001
        assert used.url.startswith(site.dashboard)
        return time.monotonic() - began


def _guesses(site: Site) -> int:
    with site.database():
        failed = select(func.sum(AuditEntry.count)).where(
            AuditEntry.event == AuditEvent.SIGN_IN_FAILED, AuditEntry.email == EMAIL
        )
        return db.session.scalar(failed) or 0
