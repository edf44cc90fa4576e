"""Push for visitors: their service worker, and the endpoints that subscribe and unsubscribe a browser.

There is no session: the endpoint of a browser is its own secret. A private link lets it follow a conversation, and
everybody may follow a topic.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Blueprint, abort, jsonify, make_response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _
from limits import RateLimitItemPerHour

from feedback_push import branding, browser_name, language, private_links, security
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.extensions import csrf
from feedback_push.feedback import conversations
from feedback_push.feedback.conversations import Full
from feedback_push.feedback.quotas import Quota
from feedback_push.push import browser_subscription, followers, keys, worker_script
from feedback_push.push.browser_subscription import BrowserSubscription, SubscriptionRefused
from feedback_push.push.followers import TooMany
from feedback_push.push.models import DeviceState, Subscription
from feedback_push.topics import topics
from feedback_push.topics.broadcasts import CHANGE
from feedback_push.topics.models import Topic
from feedback_push.webpush.endpoints import LONGEST_ENDPOINT

LARGEST_BODY = 32 * 1024  # bytes; a subscription has about 500, and a token 43
MOST_NAMED = 100  # conversations, or topics, in one request
# Generous, because a whole office may share an address; devices that are only ever refused are deleted again.
SUBSCRIPTIONS = Quota("visitor-subscriptions", 200, 20_000, RateLimitItemPerHour)


class _UnknownLink(LookupError):
    """A private link is unknown or has ended, or the request names nothing and the browser follows nothing."""


class _Named(NamedTuple):
    """The private links, topics and endpoint that a request names; the endpoint may be empty."""

    tokens: list[str]
    slugs: list[str]
    endpoint: str


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
        "actions": {CHANGE: _("Change")},  # by the action's name in a notification
    }
    return worker_script.respond("visitors/sw.js", texts)


@blueprint.get("/manifest.webmanifest")
def manifest() -> ResponseReturnValue:
    """Return the manifest with which an iPhone makes an app of a private page, the only place where it allows push.

    It names no page to start with, so that the app opens the page from which it was added.
    """
    site = branding.current()
    icon = {"src": url_for("static", filename="icons/icon-192.png"), "sizes": "192x192", "type": "image/png"}
    response = jsonify(name=site.name, short_name=site.name, display="standalone", icons=[icon])
    response.mimetype = "application/manifest+json"
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/push/key")
def key() -> ResponseReturnValue:
    """Return the VAPID public key, with which the service worker renews an expired subscription."""
    current = keys.cached().current
    if current is None:
        return jsonify(error=_("Notifications are off on this site.")), 404
    return jsonify(applicationServerKey=current.public_key)


@blueprint.post("/push/subscribe")
def subscribe() -> ResponseReturnValue:
    """Store a visitor's browser, and let it follow the conversations whose private links the request names.

    If the request names topics, the browser follows exactly these from now on. With `replaces`, the endpoint that the
    browser had before, it keeps what that one followed.
    """
    body = _body()
    if (named := _named(body, "replaces")) is None:
        return jsonify(error=_("Expected a subscription, conversations and topics.")), 422
    try:
        browser, vapid_public_key = _subscription(body)
    except SubscriptionRefused as error:
        return jsonify(error=str(error)), 422
    db.session.rollback()  # hold no transaction open while asking Redis
    if not SUBSCRIPTIONS.take():
        return jsonify(error=_("That was a lot in a short time. Please try again later.")), 429, {"Retry-After": "600"}
    try:
        device_id = _follow(body, browser, vapid_public_key, named)
    except topics.Unknown:
        db.session.rollback()
        return jsonify(error=_("There is no such topic.")), 404
    except _UnknownLink:
        db.session.rollback()
        return jsonify(error=_("This private link is unknown or has ended.")), 404
    except (Full, TooMany):
        db.session.rollback()
        return jsonify(error=_("Too many browsers, conversations or topics are subscribed already.")), 422
    followed = [topic.slug for topic in topics.followed_by(device_id)]
    db.session.commit()
    return jsonify(status="subscribed", topics=followed)


@blueprint.post("/push/following")
def following() -> ResponseReturnValue:
    """Return the topics that a visitor's browser follows, and why some are paused, for the page of the topics.

    An unknown browser gets the same answer as one that follows nothing. With `renew`, it should subscribe again.
    """
    if (named := _named(_body(), "endpoint")) is None or not named.endpoint:
        return jsonify(error="The endpoint is missing or malformed."), 422
    device = followers.find(named.endpoint)
    followed = topics.followed_by(device.id) if device else []
    paused = topics.paused_for(device.id) if device else []
    return jsonify(
        topics=[topic.slug for topic in followed],
        paused={topic.slug: _why_paused(topic) for topic in paused},
        names={topic.slug: topic.name for topic in followed},
        renew=bool(device and followed and not _is_sendable(device)),
    )


@blueprint.post("/push/unsubscribe")
def unsubscribe() -> ResponseReturnValue:
    """Remove a visitor's browser, or only take it out of the named conversations and topics."""
    body = _body()
    if (named := _named(body, "endpoint")) is None or not named.endpoint:
        return jsonify(error="The endpoint is missing or malformed."), 422
    device = followers.find(named.endpoint)
    if device is not None:
        found = [conversation for token in named.tokens if (conversation := conversations.find(token))]
        followers.unfollow(device.id, [each.audience_id for each in found if each.audience_id is not None])
        topics.unfollow(device.id, [topic for topic in topics.everything() if topic.slug in named.slugs])
        if not (body.keys() & {"conversations", "topics"}) or not followers.followed_by(device.id):
            followers.forget(device.id)
        db.session.commit()
    return jsonify(status="unsubscribed")


@blueprint.app_template_global()
def answer_notifications() -> dict[str, Any] | None:
    """Return what the card on visitors' pages needs, in any template; None if push is off."""
    current = keys.cached().current
    return current and {"key": current.public_key, "may_show_text": current_settings().notification_answer_text}


@blueprint.app_template_filter()
def link_name(token: str) -> str:
    """Return a name for a private link that a page's script may store, because it does not open the page."""
    return private_links.hashed(token)[:16]


def _follow(body: Any, browser: BrowserSubscription, vapid_public_key: str, named: _Named) -> int:
    """Store a browser, let it follow what the request names, and return the device's id.

    Raise topics.Unknown, _UnknownLink, Full or TooMany.
    """
    # Lock the conversations before the device, always in the same order.
    found = [conversations.find(token, lock=True) for token in sorted(set(named.tokens))]
    chosen = topics.find_all(named.slugs)
    device_id = followers.save(
        browser,
        vapid_public_key=vapid_public_key,
        name=browser_name.guess(request.user_agent.string),
        language=language.current(),
    )
    followers.replace(named.endpoint, device_id)
    for conversation in found:
        if conversation is None:
            raise _UnknownLink
        conversations.follow(conversation, device_id, with_text=body.get("with_text") is True)
    if "topics" in body:
        topics.replace_followed(device_id, chosen)
    if not followers.followed_by(device_id):
        if "topics" not in body:
            raise _UnknownLink
        followers.forget(device_id)
    return device_id


def _why_paused(topic: Topic) -> str:
    if not topic.pause_after:  # it was changed since
        return str(_("Paused, because you opened none of the last ones."))
    why = ngettext(
        "Paused, because you did not open the last one.",
        "Paused, because you opened none of the last %(count)s.",
        topic.pause_after,
        count=format_decimal(topic.pause_after),
    )
    return str(why)


def _is_sendable(device: Subscription) -> bool:
    return device.state == DeviceState.LIVE and device.vapid_public_key in keys.cached().live


def _subscription(body: Any) -> tuple[BrowserSubscription, str]:
    """Return the browser's subscription and the VAPID key that it was made with; raise SubscriptionRefused."""
    current = keys.cached().current
    if current is None:
        abort(make_response(jsonify(error=_("Notifications are off on this site.")), 404))
    sent = body.get("subscription")
    browser = BrowserSubscription.parse(sent, browser_subscription.endpoint_policy(current_settings()))
    return browser, browser_subscription.key_of(sent, keys.load().live) or current.public_key


def _body() -> Any:
    request.max_content_length = LARGEST_BODY
    try:
        return request.get_json()
    except RecursionError:
        return None


def _named(body: Any, endpoint_field: str) -> _Named | None:
    """Return what a body names, with the endpoint in this field; None if a part of it is malformed."""
    if not isinstance(body, dict):
        return None
    tokens, slugs = body.get("conversations", []), body.get("topics", [])
    endpoint = body.get(endpoint_field, "")
    if not _is_list_of(private_links.is_token, tokens) or not _is_list_of(topics.is_slug, slugs):
        return None
    if not isinstance(endpoint, str) or len(endpoint) > LONGEST_ENDPOINT:
        return None
    is_plain = endpoint.isascii() and (endpoint.isprintable() or not endpoint)
    return _Named(tokens, slugs, endpoint) if is_plain else None


def _is_list_of(check: Callable[[object], bool], named: object) -> bool:
    return isinstance(named, list) and len(named) <= MOST_NAMED and all(map(check, named))
