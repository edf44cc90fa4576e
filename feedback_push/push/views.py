"""JSON endpoints for browsers: get the VAPID key, subscribe, unsubscribe, send a test, and report receipts."""

from flask import Blueprint, abort, jsonify, make_response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from feedback_push import browser_name, language, security
from feedback_push.auth import notices, second_factor, sessions
from feedback_push.auth.models import NoticeEvent, User
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.extensions import csrf, limiter
from feedback_push.push import answers, browser_subscription, keys, new_devices, outbox, receipts, subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription, SubscriptionRefused
from feedback_push.push.receipts import Event
from feedback_push.webpush.endpoints import LONGEST_ENDPOINT

LARGEST_BODY = 8192  # bytes; a subscription has about 500
LARGEST_RECEIPT = 1024  # bytes; a receipt has about 90
RECEIPTS = "600 per minute"  # from one address, which a whole office may share

blueprint = Blueprint("push", __name__, url_prefix="/push")
blueprint.after_request(security.no_store)
csrf.exempt(blueprint)  # checked below, after the sign-in


@blueprint.before_request
def _only_for_administrators() -> ResponseReturnValue | None:
    if request.endpoint == "push.receipt":
        return None
    request.max_content_length = LARGEST_BODY
    request.get_data()  # a slow body must arrive before loading the user opens a transaction
    if not current_user.is_authenticated:
        return jsonify(error=_("Please sign in first.")), 401
    csrf.protect()
    if second_factor.must_be_added(current_user):
        return jsonify(error=_("This site demands a second factor. Please add one first.")), 403
    language.set_locale(current_user.language, current_user.time_zone)
    return None


@blueprint.get("/key")
def key() -> ResponseReturnValue:
    """Return the VAPID public key, and in X-CSRFToken the token that a service worker needs to subscribe with it."""
    return jsonify(applicationServerKey=_current_key()), {"X-CSRFToken": generate_csrf()}


@blueprint.post("/subscribe")
def subscribe() -> ResponseReturnValue:
    """Store this browser as a device of the caller; the body may name the key it subscribed with."""
    current = _current_key()
    policy = browser_subscription.endpoint_policy(current_settings())
    body = _body()
    try:
        subscription = BrowserSubscription.parse(body, policy)
    except SubscriptionRefused as error:
        return jsonify(error=_("The subscription of this browser cannot be used: %(reason)s", reason=error)), 422
    try:
        vapid_public_key = browser_subscription.key_of(body, keys.load().live) or current
    except SubscriptionRefused as error:
        return jsonify(error=str(error)), 422
    replaces = _replaced(body)
    if not new_devices.may_add(subscription.endpoint, user=current_user, replaces=replaces):
        return _ask_for_proof()
    if replaces and replaces != subscription.endpoint:
        subscriptions.remove(replaces, user=current_user)
    name = browser_name.guess(request.user_agent.string)
    is_new = subscriptions.save(
        subscription, user=current_user, vapid_public_key=vapid_public_key, name=name, language=language.current()
    )
    if is_new and _has_more(current_user):
        notices.tell(current_user, NoticeEvent.NEW_DEVICE, device=name)
    db.session.commit()
    return jsonify(status="subscribed")


@blueprint.post("/unsubscribe")
def unsubscribe() -> ResponseReturnValue:
    """Remove this browser, if it is a device of the caller."""
    endpoint = _endpoint()
    if subscriptions.is_known(endpoint, current_user):
        sessions.record_removal(current_user)
    subscriptions.remove(endpoint, user=current_user)
    db.session.commit()
    return jsonify(status="unsubscribed")


@blueprint.post("/test")
def test() -> ResponseReturnValue:
    """Send a test notification to this browser; answer with the address at which its result can be read."""
    _current_key()
    device = subscriptions.find_by_endpoint(_endpoint(), user=current_user)
    if device is None:
        return jsonify(error=_("The server does not know this device.")), 404
    entry = outbox.enqueue_test(device)
    db.session.commit()
    outbox.wake(entry.id)
    return jsonify(result=url_for("admin.show_test", entry_id=entry.id))


@blueprint.post("/receipt")
@limiter.limit(RECEIPTS)
def receipt() -> ResponseReturnValue:
    """Record a service worker's report about a notification; it needs only a token, because the session may have ended.

    A forged token gets the same answer as a real one, so it reveals nothing.
    """
    request.max_content_length = LARGEST_RECEIPT
    match _body():
        case {"token": str(token), "event": ("shown" | "clicked") as event}:
            if (delivery_id := receipts.read(token, *receipts.accepted_keys())) is not None:
                entry_id = receipts.record(delivery_id, Event(event), utcnow())
                if entry_id is not None:
                    answers.count_shown(entry_id, utcnow())
                db.session.commit()
            return "", 204
    return jsonify(error="Expected a token and what happened."), 422


def _has_more(user: User) -> bool:
    """Return whether the account has another session or device, so that somebody can be told of this one."""
    return len(sessions.of(user)) > 1 or len(subscriptions.of(user)) > 1


def _ask_for_proof() -> ResponseReturnValue:
    """Refuse a device of an old session; the answer names the page that asks who is there."""
    db.session.rollback()
    error = _("To turn notifications on here, confirm first that it is you.")
    return jsonify(error=error, confirm=url_for("auth.confirm")), 403


def _replaced(body: object) -> str | None:
    endpoint = body.get("replaces") if isinstance(body, dict) else None
    is_one = isinstance(endpoint, str) and len(endpoint) <= LONGEST_ENDPOINT and _is_plain(endpoint)
    return endpoint if is_one else None


def _endpoint() -> str:
    data = _body()
    endpoint = data.get("endpoint") if isinstance(data, dict) else None
    if not isinstance(endpoint, str) or not 0 < len(endpoint) <= LONGEST_ENDPOINT or not _is_plain(endpoint):
        abort(make_response(jsonify(error="The endpoint is missing or malformed."), 422))
    return endpoint


def _is_plain(endpoint: str) -> bool:
    return endpoint.isascii() and endpoint.isprintable()


def _body() -> object:
    try:
        return request.get_json()
    except RecursionError:
        abort(400, "The JSON is nested too deeply.")


def _current_key() -> str:
    pair = keys.cached().current or abort(
        make_response(jsonify(error=_("Push notifications are off: this site has no VAPID keys.")), 404)
    )
    return pair.public_key
