"""Push for visitors: their service worker, and the endpoints that subscribe and unsubscribe a browser.

There is no session: the endpoint of a browser is its own secret, and a private link lets it follow a conversation.
"""

import json
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_babel import gettext as _
from limits import RateLimitItemPerHour

from feedback_push import browser_name, config, language, security
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.extensions import csrf
from feedback_push.feedback import conversations
from feedback_push.feedback.conversations import Full
from feedback_push.feedback.quotas import Quota
from feedback_push.push import browser_subscription, followers, keys
from feedback_push.push.browser_subscription import BrowserSubscription, SubscriptionRefused
from feedback_push.push.followers import TooMany
from feedback_push.webpush.endpoints import LONGEST_ENDPOINT

LARGEST_BODY = 32 * 1024  # bytes; a subscription has about 500, and a token 43
MOST_NAMED = 100  # conversations in one request
# Generous, because a whole office may share an address; devices that are only ever refused are deleted again.
SUBSCRIPTIONS = Quota("visitor-subscriptions", 200, 20_000, RateLimitItemPerHour)

blueprint = Blueprint("visitor", __name__, url_prefix="/visitor")
blueprint.after_request(security.no_store)
csrf.exempt(blueprint)  # no session is read, so there is nothing to forge


@blueprint.get("/sw.js")
def service_worker() -> ResponseReturnValue:
    """Return the visitors' service worker with its texts in the reader's language; its scope is this folder."""
    texts = {
        "lang": language.current(),
        "title": _("You have an answer"),
        "body": _("Open your private page to read it."),
    }
    code = (config.ROOT / "static" / "visitors" / "sw.js").read_text()
    response = Response(f"const TEXTS = {json.dumps(texts)};\n{code}", mimetype="text/javascript")
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept-Language")
    response.add_etag()
    return response.make_conditional(request)


@blueprint.post("/push/subscribe")
def subscribe() -> ResponseReturnValue:
    """Store a visitor's browser, and let it follow the conversations whose private links the request names."""
    body = _body()
    tokens = _tokens(body)
    current = keys.cached().current
    if current is None:
        return jsonify(error=_("Notifications are off on this site.")), 404
    if not isinstance(body, dict) or tokens is None:
        return jsonify(error=_("Expected a subscription, topics and conversations.")), 422
    policy = browser_subscription.endpoint_policy(current_settings())
    try:
        browser = BrowserSubscription.parse(body.get("subscription"), policy)
        vapid_public_key = browser_subscription.key_of(body, keys.load().live) or current.public_key
    except SubscriptionRefused as error:
        return jsonify(error=str(error)), 422
    db.session.rollback()  # hold no transaction open while asking Redis
    if not SUBSCRIPTIONS.take():
        return jsonify(error=_("That was a lot in a short time. Please try again later.")), 429, {"Retry-After": "600"}
    found = [conversation for token in tokens if (conversation := conversations.find(token))]
    if len(found) < len(tokens) or not found:
        return jsonify(error=_("This private link is unknown or has ended.")), 404
    device_id = followers.save(
        browser,
        vapid_public_key=vapid_public_key,
        name=browser_name.guess(request.user_agent.string),
        language=language.current(),
    )
    try:
        for conversation in found:
            conversations.follow(conversation, device_id, with_text=body.get("with_text") is True)
    except (Full, TooMany):
        db.session.rollback()
        return jsonify(error=_("Too many browsers or conversations are subscribed already.")), 422
    db.session.commit()
    return jsonify(status="subscribed", topics=[])


@blueprint.post("/push/unsubscribe")
def unsubscribe() -> ResponseReturnValue:
    """Remove a visitor's browser, or only take it out of the named conversations."""
    body = _body()
    endpoint = body.get("endpoint") if isinstance(body, dict) else None
    tokens = _tokens(body)
    if not isinstance(endpoint, str) or not 0 < len(endpoint) <= LONGEST_ENDPOINT or tokens is None:
        return jsonify(error="The endpoint is missing or malformed."), 422
    if not (endpoint.isascii() and endpoint.isprintable()):
        return jsonify(error="The endpoint is missing or malformed."), 422
    device = followers.find(endpoint)
    if device is not None:
        found = [conversation for token in tokens if (conversation := conversations.find(token))]
        followers.unfollow(device.id, [each.audience_id for each in found if each.audience_id is not None])
        if not tokens or not followers.followed_by(device.id):
            followers.forget(device.id)
        db.session.commit()
    return jsonify(status="unsubscribed")


def _body() -> Any:
    request.max_content_length = LARGEST_BODY
    try:
        return request.get_json()
    except RecursionError:
        return None


def _tokens(body: Any) -> list[str] | None:
    """Return the tokens of private links that a body names; None if they are malformed."""
    named = body.get("conversations", []) if isinstance(body, dict) else None
    if not isinstance(named, list) or len(named) > MOST_NAMED:
        return None
    return (
        named if all(isinstance(token, str) and len(token) == conversations.TOKEN_LENGTH for token in named) else None
    )
