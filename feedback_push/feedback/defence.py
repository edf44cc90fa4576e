"""The form's traps for robots. What they catch is set aside, never dropped: a person caught is one click away."""

from collections.abc import Mapping

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeSerializer

from feedback_push.database import utcnow
from feedback_push.feedback import proof_of_work
from feedback_push.feedback.proof_of_work import Proof
from feedback_push.feedback.suspicion import Suspicion

HONEYPOT = "website"  # attractive to a robot, and nothing that browsers fill in by themselves
PROOF_LIFETIME = int(proof_of_work.LIFETIME.total_seconds())
_SECONDS_TO_TYPE = 2.0
_LONGEST_STAMP = 200
_SUSPICIOUS = {Proof.MISSING: Suspicion.NO_PROOF, Proof.REPLAYED: Suspicion.REPLAYED_PROOF}


def is_on() -> bool:
    """Whether the form has traps."""
    return bool(current_app.extensions["settings"].form_defence)


def opened() -> str:
    """The signed time at which the visitor opened the form; kept when the form comes back to them."""
    stamp = request.form.get("opened", "") if request.method == "POST" else ""
    return stamp if age(stamp) is not None else stamp_now()


def stamp_now() -> str:
    """The time, signed."""
    return _signer().dumps(utcnow().timestamp())


def age(stamp: str) -> float | None:
    """How many seconds ago it was made; None for what we have not signed."""
    if len(stamp) > _LONGEST_STAMP:
        return None
    try:
        return utcnow().timestamp() - float(_signer().loads(stamp))
    except BadSignature:
        return None


def judge(sent: Mapping[str, str]) -> Suspicion | None:
    """Why a message should be set aside, if it should."""
    if not is_on():
        return None
    is_filled = bool(sent.get(HONEYPOT))
    open_for = age(sent.get("opened", ""))
    # Opened in the future means that the clock was put back: only we sign times.
    if open_for is None or 0 <= open_for < _SECONDS_TO_TYPE:
        return Suspicion.HONEYPOT if is_filled else Suspicion.TOO_FAST
    doubt = _SUSPICIOUS.get(proof_of_work.check(sent.get("proof", "")))
    if is_filled:  # by a robot, or by a password manager of somebody whose browser has worked for it
        return Suspicion.HONEYPOT if doubt else Suspicion.AUTOFILL
    return doubt


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="feedback.opened")
