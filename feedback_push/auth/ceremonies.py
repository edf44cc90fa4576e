"""The ceremonies of WebAuthn: a browser makes a passkey, or signs with one.

One library, py_webauthn, reads what browsers and authenticators send; this module decides what it is good for. A view
imports this module only when a browser uses passkeys, because the library takes 7 MB of memory and 70 ms of each start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha512

import webauthn
from sqlalchemy import select
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers import structs as wire

from feedback_push.auth import audit, challenges, passkeys, relying_party, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.challenges import Purpose
from feedback_push.auth.factor_models import Passkey
from feedback_push.auth.models import User
from feedback_push.auth.passkeys import LONGEST_CREDENTIAL, MOST, Cloned, Refused, TooMany
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow

_LONGEST_TRANSPORTS = 100


def creation_options(user: User) -> str:
    """Return the JSON with which a browser makes a new passkey for the user."""
    options = webauthn.generate_registration_options(
        rp_id=_host(),
        rp_name=current_settings().site_name,
        user_name=user.email,
        user_id=base64url_to_bytes(_handle(user)),
        challenge=challenges.issue(Purpose.ADD, user),
        timeout=int(challenges.LASTS.total_seconds() * 1000),
        authenticator_selection=wire.AuthenticatorSelectionCriteria(
            resident_key=wire.ResidentKeyRequirement.REQUIRED,
            user_verification=wire.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(user),
    )
    return webauthn.options_to_json(options)


def add(user: User, name: str, credential: str) -> Passkey:
    """Store the passkey that a browser has made from `creation_options`. The caller commits.

    Raise Refused, and TooMany.
    """
    sessions.lock(user)
    if len(passkeys.of(user)) >= MOST:
        raise TooMany
    with _refusing_what_cannot_be_read():
        parsed = webauthn.helpers.parse_registration_credential_json(_bounded(credential))
        challenge = _challenge(parsed.response.client_data_json, Purpose.ADD, user)
        made = webauthn.verify_registration_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=_host(),
            expected_origin=relying_party.origins(),
            require_user_verification=True,
        )
    passkey = Passkey(
        user_id=user.id,
        name=name,
        host=_host(),
        credential_id=bytes_to_base64url(made.credential_id),
        public_key=made.credential_public_key,
        user_handle=_handle(user),
        sign_count=made.sign_count,
        transports=" ".join(sorted({each.value for each in parsed.response.transports or ()}))[:_LONGEST_TRANSPORTS],
    )
    if _find(passkey.credential_id) or not challenges.use(challenge):
        raise Refused("used before")
    db.session.add(passkey)
    audit.record(AuditEvent.PASSKEY_ADDED, user, passkey=name)
    return passkey


def request_options(purpose: Purpose, user: User | None = None) -> str:
    """Return the JSON with which a browser signs with a passkey: with one of the user's, or with any of this site."""
    verification = wire.UserVerificationRequirement
    options = webauthn.generate_authentication_options(
        rp_id=_host(),
        challenge=challenges.issue(purpose, user),
        timeout=int(challenges.LASTS.total_seconds() * 1000),
        allow_credentials=_descriptors(user) if user else None,
        user_verification=verification.PREFERRED if user else verification.REQUIRED,
    )
    return webauthn.options_to_json(options)


def use(credential: str, purpose: Purpose, user: User | None = None) -> Passkey:
    """Return the passkey with which a browser has answered `request_options`, and record its use. The caller commits.

    Its account is locked. Without a user, the passkey names its account, and must have verified who holds it (by a PIN,
    a finger or a face). Raise Refused, or Cloned, which is one.
    """
    with _refusing_what_cannot_be_read():
        parsed = webauthn.helpers.parse_authentication_credential_json(_bounded(credential))
        passkey = _lock(bytes_to_base64url(parsed.raw_id), user)
        handle = parsed.response.user_handle
        if (handle is None and user is None) or (handle and bytes_to_base64url(handle) != passkey.user_handle):
            raise Refused("the user handle is missing or another account's")
        challenge = _challenge(parsed.response.client_data_json, purpose, user)
        signed = webauthn.verify_authentication_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=_host(),
            expected_origin=relying_party.origins(),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared below: the library would do so before it checks the signature
            require_user_verification=user is None,
        )
    if not challenges.use(challenge):
        raise Refused("the challenge was answered before")
    if (signed.new_sign_count or passkey.sign_count) and signed.new_sign_count <= passkey.sign_count:
        raise Cloned(passkey)
    passkey.sign_count, passkey.last_used_at = signed.new_sign_count, utcnow()
    return passkey


@contextmanager
def _refusing_what_cannot_be_read() -> Iterator[None]:
    try:
        yield
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - the parsers of hostile bytes raise what they like
        raise Refused(type(error).__name__) from None


def _bounded(credential: str) -> str:
    if len(credential) > LONGEST_CREDENTIAL:
        raise Refused("too long")
    return credential


def _challenge(client_data: bytes, purpose: Purpose, user: User | None) -> bytes:
    """Return the challenge that was signed, if this site issued it for this use."""
    signed = webauthn.helpers.parse_client_data_json(client_data)
    if signed.cross_origin:
        raise Refused("asked inside a page of another site")
    if not challenges.fits(signed.challenge, purpose, user):
        raise Refused("a foreign, old or replayed challenge")
    return signed.challenge


def _lock(credential_id: str, user: User | None) -> Passkey:
    """Return the passkey with this id, with its account locked before it, as everything locks them."""
    found = _find(credential_id)
    if found is None or (user is not None and found.user_id != user.id):
        raise Refused("an unknown passkey")
    try:
        sessions.lock(found.user)
    except sessions.Ended:
        raise Refused("the account was deleted") from None
    this = select(Passkey).where(Passkey.id == found.id).with_for_update(of=Passkey)
    locked = db.session.scalar(this, execution_options={"populate_existing": True})
    if locked is None or locked.host != relying_party.host():
        raise Refused("removed, or another host's")
    return locked


def _find(credential_id: str) -> Passkey | None:
    return db.session.scalar(select(Passkey).where(Passkey.credential_id == credential_id))


def _descriptors(user: User) -> list[wire.PublicKeyCredentialDescriptor]:
    return [
        wire.PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(passkey.credential_id),
            transports=[wire.AuthenticatorTransport(each) for each in passkey.transports.split()] or None,
        )
        for passkey in passkeys.usable(user)
    ]


def _handle(user: User) -> str:
    """Return the 64 bytes by which authenticators know the account, in base64url; they say nothing about it."""
    known = passkeys.of(user)
    made = sha512(f"feedback_push: account {user.id} of {user.created_at.isoformat()}".encode()).digest()
    return known[0].user_handle if known else bytes_to_base64url(made)


def _host() -> str:
    return relying_party.host() or ""
