"""The subscription endpoints: the key to subscribe with, subscribe, and unsubscribe. They speak JSON."""

from flask import Blueprint, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from feedback_push import browser_name, language, security
from feedback_push.database import db
from feedback_push.extensions import csrf
from feedback_push.push import subscriptions
from feedback_push.push.endpoints import EndpointPolicy
from feedback_push.push.subscriptions import BrowserSubscription, SubscriptionRefused

LARGEST_BODY = 8192  # bytes; a subscription has about 500

blueprint = Blueprint("push", __name__, url_prefix="/push")
blueprint.after_request(security.no_store)
csrf.exempt(blueprint)  # checked below, after the question who is calling


@blueprint.before_request
def _only_for_administrators() -> ResponseReturnValue | None:
    if not current_user.is_authenticated:
        return jsonify(error="Please sign in first."), 401
    request.max_content_length = LARGEST_BODY
    csrf.protect()
    language.speak(current_user.language, current_user.time_zone)
    return None


@blueprint.get("/key")
def key() -> ResponseReturnValue:
    """The VAPID public key, and in X-CSRFToken what a service worker needs to subscribe with it."""
    return jsonify(applicationServerKey=_vapid_public_key()), {"X-CSRFToken": generate_csrf()}


@blueprint.post("/subscribe")
def subscribe() -> ResponseReturnValue:
    """Store this browser as a device of the caller."""
    vapid_public_key = _vapid_public_key()
    policy = EndpointPolicy.of(current_app.extensions["settings"])
    try:
        subscription = BrowserSubscription.parse(_body(), policy)
    except SubscriptionRefused as error:
        return jsonify(error=str(error)), 422
    name = browser_name.guess(request.user_agent.string)
    subscriptions.save(
        subscription, user=current_user, vapid_public_key=vapid_public_key, name=name, language=language.wanted()
    )
    db.session.commit()
    return jsonify(status="subscribed")


@blueprint.post("/unsubscribe")
def unsubscribe() -> ResponseReturnValue:
    """Forget this browser, if it is the caller's."""
    data = _body()
    endpoint = data.get("endpoint") if isinstance(data, dict) else None
    if not isinstance(endpoint, str) or not endpoint or not (endpoint.isascii() and endpoint.isprintable()):
        return jsonify(error="The endpoint is missing or malformed."), 422
    subscriptions.remove(endpoint, user=current_user)
    db.session.commit()
    return jsonify(status="unsubscribed")


def _body() -> object:
    try:
        return request.get_json()
    except RecursionError:
        abort(400, "The JSON is nested too deeply.")


def _vapid_public_key() -> str:
    public_key: str = current_app.extensions["settings"].vapid_public_key
    if not public_key:
        abort(404, "Push is off: this site has no VAPID keys.")
    return public_key
