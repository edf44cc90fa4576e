"""The endpoints of browsers, in JSON: the key to subscribe with, subscribe, unsubscribe, and receipts."""

from flask import Blueprint, abort, current_app, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from feedback_push import browser_name, language, security
from feedback_push.database import db, utcnow
from feedback_push.extensions import csrf, limiter
from feedback_push.push import browser_subscription, keys, receipts, subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription, SubscriptionRefused
from feedback_push.push.receipts import Event
from feedback_push.webpush.endpoints import LONGEST_ENDPOINT

LARGEST_BODY = 8192  # bytes; a subscription has about 500
LARGEST_RECEIPT = 1024  # bytes; it has about 90
RECEIPTS = "600 per minute"  # from one address, behind which a whole office may be

blueprint = Blueprint("push", __name__, url_prefix="/push")
blueprint.after_request(security.no_store)
csrf.exempt(blueprint)  # checked below, after the question who is calling


@blueprint.before_request
def _only_for_administrators() -> ResponseReturnValue | None:
    if request.endpoint == "push.receipt":
        return None
    request.max_content_length = LARGEST_BODY
    request.get_data()  # it may take its time to arrive, and who is calling is asked in a transaction
    if not current_user.is_authenticated:
        return jsonify(error=_("Please sign in first.")), 401
    csrf.protect()
    language.set_locale(current_user.language, current_user.time_zone)
    return None


@blueprint.get("/key")
def key() -> ResponseReturnValue:
    """The VAPID public key, and in X-CSRFToken what a service worker needs to subscribe with it."""
    return jsonify(applicationServerKey=_current_key()), {"X-CSRFToken": generate_csrf()}


@blueprint.post("/subscribe")
def subscribe() -> ResponseReturnValue:
    """Store this browser as a device of the caller; it may say which key it subscribed with."""
    current = _current_key()
    policy = browser_subscription.endpoint_policy(current_app.extensions["settings"])
    body = _body()
    try:
        subscription = BrowserSubscription.parse(body, policy)
    except SubscriptionRefused as error:
        return jsonify(error=_("The subscription of this browser cannot be used: %(reason)s", reason=error)), 422
    try:
        vapid_public_key = browser_subscription.key_of(body, keys.load().live) or current
    except SubscriptionRefused as error:
        return jsonify(error=str(error)), 422
    name = browser_name.guess(request.user_agent.string)
    subscriptions.save(
        subscription, user=current_user, vapid_public_key=vapid_public_key, name=name, language=language.current()
    )
    db.session.commit()
    return jsonify(status="subscribed")


@blueprint.post("/unsubscribe")
def unsubscribe() -> ResponseReturnValue:
    """Forget this browser, if it is the caller's."""
    data = _body()
    endpoint = data.get("endpoint") if isinstance(data, dict) else None
    if not isinstance(endpoint, str) or not 0 < len(endpoint) <= LONGEST_ENDPOINT or not _is_plain(endpoint):
        return jsonify(error="The endpoint is missing or malformed."), 422
    subscriptions.remove(endpoint, user=current_user)
    db.session.commit()
    return jsonify(status="unsubscribed")


@blueprint.post("/receipt")
@limiter.limit(RECEIPTS)
def receipt() -> ResponseReturnValue:
    """Take what a service worker says of a notification. Its token is all it needs: the session may have ended.

    Whoever makes tokens up learns nothing, because the answer is always the same.
    """
    request.max_content_length = LARGEST_RECEIPT
    match _body():
        case {"token": str(token), "event": ("shown" | "clicked") as event}:
            key = receipts.signing_key(current_app.extensions["settings"].secret_key)
            if (delivery_id := receipts.read(token, key)) is not None:
                receipts.record(delivery_id, Event(event), utcnow())
                db.session.commit()
            return "", 204
    return jsonify(error="Expected a token and what happened."), 422


def _is_plain(endpoint: str) -> bool:
    return endpoint.isascii() and endpoint.isprintable()


def _body() -> object:
    try:
        return request.get_json()
    except RecursionError:
        abort(400, "The JSON is nested too deeply.")


def _current_key() -> str:
    pair = keys.cached().current or abort(
        make_response(jsonify(error=_("Push is off: this site has no VAPID keys.")), 404)
    )
    return pair.public_key
