"""The form's traps for robots. A caught message is set aside, never dropped: one click recovers a person's message."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from flask import request, session
from itsdangerous import BadSignature, URLSafeSerializer

from feedback_push import secret_keys
from feedback_push.config import current_settings
from feedback_push.database import utcnow
from feedback_push.feedback import proof_of_work
from feedback_push.feedback.proof_of_work import Proof
from feedback_push.feedback.spam_reasons import SpamReason

HONEYPOT = "website"  # attracts robots, but browsers do not fill it in by themselves
PROOF_LIFETIME = int(proof_of_work.GRACE.total_seconds())  # seconds, after which the form's script makes a new proof
STAMP_LIFETIME = timedelta(days=7)
_SECONDS_TO_TYPE = 2.0
_LONGEST_STAMP = 200
_KEPT_IN = "form"  # the session key of a name for this browser, known to nobody else
_SUSPICIOUS = {Proof.MISSING: SpamReason.NO_PROOF, Proof.REPLAYED: SpamReason.REPLAYED_PROOF}


class SendAgain(Exception):
    """The visitor must send the form again, because its stamp or its proof is too old."""


class _Stamp(NamedTuple):
    at: float
    browser: str

    @property
    def age(self) -> float:
        return utcnow().timestamp() - self.at

    @property
    def is_ours(self) -> bool:
        """Return whether the stamp was made for this browser and has not expired."""
        return self.browser == session.get(_KEPT_IN) and self.age <= STAMP_LIFETIME.total_seconds()


def is_on() -> bool:
    """Return whether the form has traps."""
    return current_settings().form_defence


def opened() -> str:
    """Return the signed time at which this browser opened the form. It stays the same if the form is shown again."""
    stamp = _read(request.form.get("opened", "")) if request.method == "POST" else None
    now = utcnow().timestamp()
    # A visitor whose stamp has expired did not just open the form, and may send it again at once.
    at = now if stamp is None else max(stamp.at, now - STAMP_LIFETIME.total_seconds() / 2)
    return _signer().dumps([at, _name_browser()])


def judge(sent: Mapping[str, str]) -> SpamReason | None:
    """Return the reason to set a message aside, or None. Raise SendAgain if the form is too old to tell."""
    if not is_on():
        return None
    is_filled = bool(sent.get(HONEYPOT))
    stamp = _read(sent.get("opened", ""))
    # A time in the future means that the clock was put back, because only this site signs times.
    if stamp is None or 0 <= stamp.age < _SECONDS_TO_TYPE:
        return SpamReason.HONEYPOT if is_filled else SpamReason.TOO_FAST
    proof = proof_of_work.check(sent.get("proof", "")) if stamp.is_ours else Proof.STALE
    if proof == Proof.STALE:
        raise SendAgain
    reason = _SUSPICIOUS.get(proof)
    if is_filled:  # by a robot, or, if the proof is valid, by a password manager
        return SpamReason.HONEYPOT if reason else SpamReason.AUTOFILL
    return reason


def _read(text: str) -> _Stamp | None:
    if len(text) > _LONGEST_STAMP:
        return None
    try:
        match _signer().loads(text):
            case [float(at), str(browser)]:
                return _Stamp(at, browser)
            case float(at):  # the format of stamps that did not name a browser yet
                return _Stamp(at, "")
    except BadSignature:
        pass
    return None


def _name_browser() -> str:
    # A request from another site comes without the browser's cookie. Do not replace that cookie with a new one.
    if not session:
        return ""
    name: str = session.setdefault(_KEPT_IN, secrets.token_urlsafe(9))
    return name


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(secret_keys.oldest_first(), salt="feedback.opened")
